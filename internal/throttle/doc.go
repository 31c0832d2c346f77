// Package throttle slows guessing down, in bounded memory.
//
// A [Table] counts failures by key (an account, a client, a network, or a pair
// of those). Some failures cost nothing; each one after that makes the key wait
// twice as long as the one before. The table has a fixed number of places: a
// flood of made-up keys pushes out what weighs least, it never grows.
//
// Counts live in one process and die with it; a shared table counts together with
// those of other nodes, which hear of each other's failures within about two seconds.
// They make guessing slow; that a secret cannot be guessed at all is the business of
// its length.
package throttle
