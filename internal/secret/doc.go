// Package secret holds the values that must never be printed and the small
// cryptographic tools that handle them: identifiers, random strings, digests,
// constant-time comparison, keyed MACs and sealing at rest.
//
// A secret travels through the program as a [Value]. No formatting verb, log
// handler or encoder shows what is inside; the only way out is
// [Value.Reveal], which is also the word to search for in review.
package secret
