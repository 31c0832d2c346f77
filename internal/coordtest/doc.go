// Package coordtest starts real coordination services for tests, as processes
// that are killed and started again, and a connection in front of them that can
// be cut.
package coordtest
