// Package oauth is the protocol's vocabulary: grant types, error codes, the
// JSON objects of the endpoints, scope strings, PKCE and the challenges of a
// protected resource. It holds no behaviour of a server or a client; both
// speak these words.
//
// Sources: OAuth 2.1 (draft-ietf-oauth-v2-1), RFC 6750, 7009, 7636, 7662, 8414,
// 9207, 9728 and OpenID Connect Core, Discovery and RP-Initiated Logout.
package oauth
