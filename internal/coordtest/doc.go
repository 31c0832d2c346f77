// Package coordtest starts real coordination services for tests, as processes
// that are killed and started again.
package coordtest
