package oauth

import (
	"errors"
	"slices"
)

// Reason is one way of being refused. The table of them is the one place in
// which a code gets its status and its error; docs/reasons.md is made of it.
type Reason struct {
	Code   string // stable: the header Jeton-Reason, and reason in a JSON body
	At     Place
	Status int    // of the HTTP answer; 0 for an item of a batch
	Error  Code   // of the protocol; the challenge to a request without a token has none
	Then   Action // what a client should do
	Means  string
	Advice string // for whoever wrote the client
}

// Place is who refuses. The same code may stand in two places: it then means the
// same, of an access token in one and of a refresh token in the other.
type Place string

// Places.
const (
	AtAPI       Place = "api"       // a guarded route, an agent, /userinfo
	AtAuthority Place = "authority" // /token, /revoke, /introspect, /mint and what else clients call with their credentials
	AtMint      Place = "mint"      // one item of a batch
)

// Action is what a client should do about a refusal.
type Action string

// Actions.
const (
	ThenRefresh     Action = "refresh"       // another token may be accepted: refresh, or ask for a new one, once
	ThenSignIn      Action = "sign in again" // only the person can help
	ThenAskForScope Action = "ask for scope" // with another scope it may work
	ThenRetry       Action = "retry"         // nothing is wrong with the request: later
	ThenGiveUp      Action = "give up"       // the same again is refused again: the advice says what to mend
)

var reasons = slices.Concat(reasonsAtAPI, reasonsOfProofs, reasonsAtAuthority, reasonsAtMint)

type reasonKey struct {
	at   Place
	code string
}

var reasonsByKey = func() map[reasonKey]Reason {
	m := make(map[reasonKey]Reason, len(reasons))
	for _, r := range reasons {
		m[reasonKey{r.At, r.Code}] = r
	}
	return m
}()

// Reasons lists the ways of being refused in a place, in the order of
// docs/reasons.md.
func Reasons(at Place) []Reason {
	return slices.DeleteFunc(slices.Clone(reasons), func(r Reason) bool { return r.At != at })
}

// ReasonAt finds a code in the table.
func ReasonAt(at Place, code string) (Reason, bool) {
	r, ok := reasonsByKey[reasonKey{at, code}]
	return r, ok
}

// TokenHelps reports whether another access token may be accepted where one was
// refused by an API for this reason. session_ended is among them: the refresh
// settles whether the sign-in is over.
func TokenHelps(code string) bool {
	r, _ := ReasonAt(AtAPI, code)
	return r.Then == ThenRefresh || code == ReasonSessionEnded
}

// RefuseFor returns an *Error for a reason of the authority, whose error code the
// table knows. description is for the client, cause for the operator's log; both
// may be empty.
func RefuseFor(reason, description string, cause error) error {
	r, ok := ReasonAt(AtAuthority, reason)
	if !ok {
		r = Reason{Error: ServerError}
	}
	return &Error{Code: r.Error, Reason: reason, Description: description, Cause: cause}
}

// ReasonOf returns the stable code of the *Error in err's chain: its own, or else
// the error code of the protocol, which stands in the table as well. It returns
// "" where there is none.
func ReasonOf(err error) string {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return ""
	case e.Reason != "":
		return e.Reason
	}
	return string(e.Code)
}
