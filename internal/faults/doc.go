// Package faults is a suite of tests: real processes of jeton, on real databases,
// while things around them break. What clients were answered is written down and
// held against the sequential specifications of refreshing, redeeming, revoking
// and consuming (model_test.go).
//
// go test runs a short form; make faults the long one, from a seed that it prints.
package faults
