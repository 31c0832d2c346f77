// Package tokens is the only mint. Every access token, ID token and refresh
// token is made here, so that policy, registry, audit and limits cannot be
// forgotten by a grant type.
//
// An access token is a JWT (RFC 9068) and a row in the registry that holds its
// digest; both exist or neither does. A refresh token is a grant's id, a
// generation number and a MAC; nothing of it is stored but the grant's salt
// (refresh.go draws the format, generations.go decides what a presented
// generation is answered with). Ending anything goes through Service.Revoke,
// which returns when this node itself refuses what ended.
//
// The rules of the protocol (who may ask for which grant, PKCE, scope
// parameters) are internal/grants' business, and HTTP is internal/endpoint's.
package tokens
