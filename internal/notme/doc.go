// Package notme owns the answer "this was not me": the link in a mail about a
// session or grant, and what happens when its reader says so.
//
// A link carries what it ends and until when it works, under a MAC; nothing is
// stored for it. Whoever holds one can end that session or grant and learn
// roughly where it is used, and nothing else: it signs nobody in and tells no
// name. Looking at what a link would end changes nothing, because programs that
// look for dangerous mail open every link in it.
package notme
