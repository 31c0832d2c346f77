// Package agent is `jeton agent`: a local process that checks tokens for
// services that are not written in Go. It holds a guard, with the feed, the
// view, the registry and the keys, and answers two kinds of callers on loopback
// or on a unix socket.
//
// A service sends the token to POST /introspect (RFC 7662) and reads the claims
// or {"active":false}. A proxy sends each request's headers to /check
// (auth_request, forwardAuth, forward_auth, ext_authz) and lets the request
// pass if the answer is 200, with the identity headers of the answer.
//
// A token that was seen before costs no round trip, and a revoked one is refused
// as soon as the feed has brought the news. What cannot be decided is not
// "inactive" but 503: the caller must not mistake an outage for a bad token.
package agent
