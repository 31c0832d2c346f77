// Package policy is the vocabulary of central policies: which requests a path
// pattern matches, what may be demanded of their tokens, and the form in which
// the feed carries both. The authority checks with it what operators write, and
// guards apply with it what arrives; so both mean the same.
package policy
