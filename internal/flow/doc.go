// Package flow is the browser's way from the authorization endpoint to a code,
// and its way out again, as a state machine without HTTP.
//
// An authorization request lives in the browser: its query string travels
// unchanged from page to page, and [Flow.Decide] reads it again at each step and
// says what has to happen next: answer the client ([Respond]), sign in
// ([SignIn]), choose an account ([SelectAccount]), ask for consent ([Consent]),
// or make a code ([Issue], carried out by [Flow.Issue]). Pages never call each
// other, and nothing is written, in the store or in the browser, before a
// person has authenticated.
//
// What the query cannot say is what this browser has already done for it:
// signed in again, or chosen an account. Each of these leads to a session, so the
// proof is the session's id in a short, signed [State] bound to this one
// request. No clocks are compared, and a request cannot send a person round in
// circles.
//
// The order of checks decides whether a fault is shown on a page (an error that
// is a [*Problem]) or sent to the client (a [Respond]): until the client and its
// redirect URI are known, nothing is sent anywhere.
package flow
