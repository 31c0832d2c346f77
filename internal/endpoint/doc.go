// Package endpoint holds the protocol's JSON endpoints. A handler decodes the
// request once into a typed value, calls the package that knows the rules, and
// encodes the answer; it returns an error and never writes one. errors.go is
// the only place that knows which status an error has.
package endpoint
