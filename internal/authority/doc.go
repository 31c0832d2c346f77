// Package authority is the domain: plain types that answer questions about
// themselves, and the contracts that every store keeps. It knows no JSON, no
// SQL and no HTTP.
//
// The words are those of the design: an [Account] signs in and gets a
// [Session]; it allows a [Client] something with a [Consent]; a [Grant] is one
// lineage of tokens and belongs to at most one session; a [Token] is an issued
// access token's row in the registry. Everything dies by id: a token, a grant,
// a session, a key. Nothing is ever revoked by comparing clocks.
//
// A contract's method is one transaction. Methods that change several records
// are named by what they mean (Redeem, Rotate, Revoke), answer only after the
// change is durable, and either happen as a whole or not at all. An [Event]
// handed to such a method is written in the same commit: if the audit trail
// cannot be written, nothing is.
package authority
