// Package web is the pages: sign in, choose an account, consent, sign out, and
// the errors that only a person can be told. It is thin: [flow.Flow] decides what
// comes next, [accounts.Service] knows who somebody is, and a handler here
// decodes the request, asks one of them, and shows the answer.
//
// Addresses
//
//	/authorize            where clients send people; redirects on, or answers
//	/authorize/resume     the same after signing in or choosing an account
//	/signin /select /consent   one page each
//	/end_session /signout /signed-out   the way out
//	/not-me               behind the link of a mail: ends what was not the owner's doing
//	/                     who is signed in here
//	/assets/…             the stylesheet, named after its content
//
// A page that belongs to an authorization request has the address
// /signin?flow=STATE&QUERY: the sealed [flow.State] ("" while there is nothing to
// prove), and then the request exactly as /authorize got it, so that no parameter
// of a client can be mistaken for ours. There is no address to return to
// anywhere: where a page leads is decided from the request, or is a page of ours.
//
// The pages need no JavaScript. The one script, two words on the page that posts
// an answer to a client, is allowed by its hash and has a button beside it.
package web
