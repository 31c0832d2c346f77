// Package jwt signs and verifies JSON Web Tokens in compact form: RFC 7519 and
// 7515 with the advice of RFC 8725.
//
// There are three doors. [Sign] makes a token with a [jwk.Key], whose algorithm
// and id go into the header. A [Verifier] checks tokens of one kind, from one
// issuer, for one audience, with a list of algorithms: it cannot be made without
// these, and what weakens it has Insecure in its name. [Parse] takes a token
// apart without checking anything, for people who want to look at it; its result
// has the type [Unverified], so that the two cannot be confused.
//
// Each kind of token has a [Profile] (access token, ID token, logout token, DPoP
// proof, ...). Profiles exclude each other by the "typ" header and by required
// claims, so that an ID token is never taken for an access token.
//
// Parsing is by hand and strict: exactly three parts, canonical base64url, one
// UTF-8 JSON object per part, exact member names, no name twice at any level,
// limits for size and depth, numbers for times. The header of a token never
// chooses its key or its algorithm.
//
// Every refusal is an [*Error] with a stable reason; see [ReasonOf]. The package
// uses the standard library only.
package jwt
