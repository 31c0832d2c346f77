// Package dpop holds what a server of DPoP (RFC 9449) needs besides checking
// proofs, which is package jwt's: nonces that cost no storage, and the memory of
// one process for proofs it has seen.
package dpop
