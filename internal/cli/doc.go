// Package cli is the jeton command: one file per command. Commands parse,
// call, print; what they call is the admin API (package admin) or, for dev and
// serve, a function of [Commands].
//
// A command ends with exit code 0, with 1 when something was refused or failed,
// and with 2 when it was called wrongly. Answers go to standard output, as a
// table for people or with --json for programs; everything else goes to
// standard error. Passwords and secrets come from a prompt, a file or standard
// input, never from an argument that other users of the machine can see.
package cli
