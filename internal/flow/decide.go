package flow

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// Step is what has to happen next: Respond, SignIn, SelectAccount, Consent or
// Issue.
type Step interface{ isStep() }

// SignIn asks for credentials.
type SignIn struct {
	Request *Request
	Login   string // to begin with, if it is known
	Again   bool   // somebody is signed in, and has to prove it anew
}

// SelectAccount asks whether to go on with the signed-in account.
type SelectAccount struct{ Request *Request }

// Consent asks the person to allow Scope.
type Consent struct {
	Request *Request
	Scope   oauth.Scope
	Known   oauth.Scope // what was allowed before
}

// Issue answers with a code; [Flow.Issue] carries it out.
type Issue struct {
	Request *Request
	Scope   oauth.Scope // to be granted
	Record  bool        // the consent is new and has to be written down
}

func (SignIn) isStep()        {}
func (SelectAccount) isStep() {}
func (Consent) isStep()       {}
func (Issue) isStep()         {}

// Decide says what the request with this query string needs next from this
// browser. It writes nothing. An error that is a *Problem is for a page; any
// other error happened before the client was known.
func (f *Flow) Decide(ctx context.Context, query string, b Browser) (Step, error) {
	req, refusal, err := f.read(ctx, query)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return *refusal, nil
	}
	step, err := f.next(ctx, req, b)
	if err != nil {
		return *f.refuse(req, err), nil
	}
	return step, nil
}

// Fail tells the client of the request, if it can be told, that cause kept us
// from answering it.
func (f *Flow) Fail(ctx context.Context, query string, cause error) (Step, error) {
	req, refusal, err := f.read(ctx, query)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	if refusal != nil {
		return *refusal, nil
	}
	return *f.refuse(req, cause), nil
}

func (f *Flow) next(ctx context.Context, req *Request, b Browser) (Step, error) {
	if step, err := f.who(req, b); step != nil || err != nil {
		return step, err
	}
	return f.allowed(ctx, req, b)
}

// who settles which account the answer will be about, and how fresh its sign-in
// is (OpenID Connect Core section 3.1.2.3). It returns nil when both are settled.
func (f *Flow) who(req *Request, b Browser) (Step, error) {
	session := b.Session.ID
	hintMissed := b.SignedIn() && req.Hint != nil && req.Hint.Subject != b.Account.Subject()
	if req.Prompt.None {
		if !b.SignedIn() || hintMissed || f.tooOld(req, b) || tooWeak(req, b) {
			return nil, oauth.Refuse(oauth.LoginRequired, "the person has to sign in")
		}
		return nil, nil
	}
	if !b.SignedIn() {
		return SignIn{Request: req, Login: req.LoginHint}, nil
	}
	fresh := b.State.Authenticated == session
	switch {
	case hintMissed && fresh:
		// OpenID Connect Core section 3.1.2.1: never an answer about somebody else.
		return nil, oauth.Refuse(oauth.LoginRequired, "another account than the one in id_token_hint signed in")
	case hintMissed, b.State.Switch && !fresh:
		return SignIn{Request: req, Login: req.LoginHint}, nil
	case fresh && tooWeak(req, b):
		return nil, errUnmet
	case !fresh && (req.Prompt.Login || f.tooOld(req, b) || tooWeak(req, b)):
		login := req.LoginHint
		if login == "" {
			login = b.Account.Login
		}
		return SignIn{Request: req, Login: login, Again: true}, nil
	case req.Prompt.SelectAccount && !b.State.settled(session):
		return SelectAccount{Request: req}, nil
	}
	return nil, nil
}

// tooOld reports whether the sign-in is older than max_age allows. With max_age
// 0 every one is.
func (f *Flow) tooOld(req *Request, b Browser) bool {
	if req.MaxAge == nil {
		return false
	}
	// auth_time has whole seconds in tokens, so that is what a client sees.
	age := f.cfg.Now().Sub(b.Session.AuthTime.Truncate(time.Second))
	return *req.MaxAge == 0 || age > *req.MaxAge
}

// tooWeak reports whether the sign-in was not in one of the ways that acr_values
// names.
func tooWeak(req *Request, b Browser) bool {
	return len(req.ACR) > 0 && !slices.Contains(req.ACR, b.Session.ACR)
}

// allowed settles what the account lets the client do.
func (f *Flow) allowed(ctx context.Context, req *Request, b Browser) (Step, error) {
	known, err := f.consented(ctx, b.Account.ID, req.Client.ID)
	if err != nil {
		return nil, err
	}
	ask := Consent{Request: req, Scope: req.Scope, Known: known}
	covered := req.Scope.Within(known)
	switch {
	case req.Prompt.Consent:
		return ask, nil
	case !req.assured():
		// A remembered consent would answer for whichever program asks in the
		// client's name (RFC 8252 section 8.6).
	case req.Client.FirstParty:
		// offline_access needs a recorded consent even here (OpenID Connect Core
		// section 11); the operator gave it by registering the client as their own.
		record := req.Scope.Has(oauth.ScopeOfflineAccess) && !covered
		return Issue{Request: req, Scope: req.Scope, Record: record}, nil
	case covered:
		return Issue{Request: req, Scope: req.Scope}, nil
	}
	if !req.Prompt.None {
		return ask, nil
	}
	// Only offline access is new: it is left out rather than asked for.
	if rest := req.Scope.Without(oauth.ScopeOfflineAccess); req.assured() && len(rest) > 0 && rest.Within(known) {
		return Issue{Request: req, Scope: rest}, nil
	}
	return nil, oauth.Refuse(oauth.ConsentRequired, "the person has to allow this")
}

func (f *Flow) consented(ctx context.Context, account secret.ID, client string) (oauth.Scope, error) {
	c, err := f.cfg.Store.Consent(ctx, account, client)
	if errors.Is(err, authority.ErrNotFound) {
		return nil, nil
	}
	return c.Scope, err
}

// assured reports whether an answer can only reach the client itself. A public
// client on a loopback address or a scheme of its own can be impersonated by any
// program on the device.
func (r *Request) assured() bool {
	if !r.Client.Public() {
		return true
	}
	u, err := url.Parse(r.RedirectURI)
	return err == nil && u.Scheme == "https"
}

// App is the client's name for people.
func (r *Request) App() string {
	if r.Client.Name != "" {
		return r.Client.Name
	}
	return r.Client.ID
}

// Target says where the answer goes, for people: the host, or for an app with
// a scheme of its own that scheme.
func (r *Request) Target() string {
	u, err := url.Parse(r.RedirectURI)
	if err != nil {
		return ""
	}
	if u.Host == "" {
		return u.Scheme + ":"
	}
	return u.Host
}

// Seen names what the question shows: who is asked to allow what to whom. The
// answer carries it back, so that it cannot count for another account or a wider
// scope than the one on the screen.
func (c Consent) Seen(account secret.ID) string {
	d := secret.Digest(account.String() + "\n" + c.Request.Client.ID + "\n" + c.Scope.String())
	return base64.RawURLEncoding.EncodeToString(d[:])
}

// Allow is the answer yes.
func (c Consent) Allow() Issue {
	return Issue{Request: c.Request, Scope: c.Scope, Record: !c.Scope.Within(c.Known)}
}

// Deny is the answer no.
func (f *Flow) Deny(c Consent) Respond {
	return *f.refuse(c.Request, oauth.Refuse(oauth.AccessDenied, "the person said no"))
}
