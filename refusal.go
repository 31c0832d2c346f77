package jeton

import (
	"time"

	"github.com/jetonhq/jeton/oauth"
)

// Refusal is why a request or a token was refused. It is shared: do not change it.
type Refusal struct {
	Reason      string        // a stable code, see Reasons
	Status      int           // 400, 401, 403 or 503
	Code        oauth.Code    // of the protocol
	Description string        // fixed text
	Scope       []string      // what the route demands, with insufficient_scope
	ACRValues   []string      // how the person may sign in, with insufficient_user_authentication; empty: in any way
	MaxAge      time.Duration // of the sign-in, whole seconds, with insufficient_user_authentication; 0: any
	dpop        bool          // the challenge is of the scheme DPoP
	cause       error
}

func (r *Refusal) Error() string {
	if r.cause != nil {
		return "jeton: " + r.Reason + ": " + r.cause.Error()
	}
	return "jeton: " + r.Reason
}

// Unwrap is the cause, if there is more to say than the reason.
func (r *Refusal) Unwrap() error { return r.cause }

// refuse is the refusal for a code of the table.
func refuse(code string) *Refusal {
	if r, ok := prepared[code]; ok {
		return r
	}
	// A reason this version does not know is a refusal all the same.
	return prepared[ReasonRevoked]
}

func refuseCause(code string, cause error) *Refusal {
	r := *refuse(code)
	r.cause = cause
	return &r
}

func insufficientScope(scopes []string) *Refusal {
	r := *refuse(ReasonInsufficientScope)
	r.Scope = scopes
	return &r
}
