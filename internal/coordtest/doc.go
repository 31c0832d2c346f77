// Package coordtest starts real coordination services for tests, as processes
// that are killed and started again. What sources of keys that follow such a
// service have to keep is in [Kind.Run].
package coordtest
