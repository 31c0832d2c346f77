// Package grants holds the rules of the token endpoint, a file per grant type.
//
// Exchange runs the steps that no grant type may forget (client
// authentication, is the grant known and allowed) in the order of SPECS TOK-8,
// and only then the grant's own checks. Nothing is consumed unless every check
// has passed: a wrong verifier does not burn the code. What is left, making and
// registering the tokens, is internal/tokens' business.
package grants
