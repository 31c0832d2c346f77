// Package bffserver is `jeton bff`: package bff as a process of its own, for
// browser apps whose API is not written in Go. It signs people in, keeps their
// sessions, passes requests on to APIs with the access token, and serves the
// app's files.
//
// Browsers reach the public listener, through a proxy that speaks TLS. Health
// and metrics are on another one, which stays on this machine.
package bffserver
