// Package mail tells people by e-mail what happened: the owner of an account,
// and administrators.
//
// A mail's way: package notify hands each event to [Channel.Plan], which decides
// who is to know (kinds.go), whether they have had enough (limit.go), and what
// there is to say: a Letter (letter.go). It rests in the store as a delivery until
// [Channel.Send] writes it with the templates (templates.go) and hands it to the
// mail server (transport.go). Each try is the same mail by its Message-ID.
//
// A link "this was not me" is made when a mail is sent and not before, so that it
// rests nowhere; package notme knows what it does.
//
// What others chose, such as names, user agents and the reasons of agents, is
// made harmless before it gets into a letter: one line, short, and nothing that a
// mail program would show as a link.
package mail
