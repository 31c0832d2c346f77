// Package jwk holds signature keys as immutable values, sets of them, and sets
// that live at a URL.
//
// A [Key] is one key with exactly one algorithm and one id. Whoever holds a Key
// can sign or verify with it, and nothing else: the algorithm is never taken
// from a message. A Key does not print: every way of formatting it shows its id
// and algorithm only, and private members leave it through
// [Key.MarshalPrivate] alone.
//
// A [Set] is an ordered list of keys, as published at a jwks_uri (RFC 7517).
// Reading a set is forgiving where the RFC wants it (unknown key types and
// broken entries are left out), and strict inside each key (RFC 7518: full
// length coordinates, points on their curve, RSA of 2048 bits or more).
//
// A [RemoteSet] follows a published set without ever letting the senders of
// tokens decide how often it is fetched. Both are a [Source], which is what a
// verifier asks for candidates.
//
// The package uses the standard library only.
package jwk
