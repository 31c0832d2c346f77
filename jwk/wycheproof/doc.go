// Package wycheproof holds package jwk against Project Wycheproof's vectors of
// signatures. It is tests alone, and a module of its own: the vectors are 26 MB
// to fetch, which nobody who builds Jeton has to.
package wycheproof
