// Package admin speaks the admin API of a Jeton server: the types on the wire
// and a [Client] with a method per call. `jeton client list` and its siblings
// are this package with a printer.
//
// The API lives on the server's management listener under /admin/v1/, takes
// and gives JSON, and wants the admin token as a bearer token. Lists come in
// pages; [All] walks them. Every change may carry a reason, which stands in the
// audit event that is committed together with the change.
//
// A refusal is an [*Error]; compare its code through [CodeOf].
package admin
