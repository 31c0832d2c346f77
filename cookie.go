package jeton

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/jetonhq/jeton/oauth"
)

// SessionSource knows the sessions of browsers: it is the server side of a browser app that never holds tokens.
// Package bff has one. What it gives out is a real access token, which the guard checks like any other, so that
// a handler finds the same claims whether the request came with the token or with the cookie.
type SessionSource interface {
	// SessionToken returns the access token of the session that the request's cookie names. With refused, a token
	// that it returned for this request before and that the guard refused, it returns another one if it can have
	// one.
	//
	// The error is [ErrNoCookie] if the request names no session, [ErrNoSession] if it names one that is not
	// there: unknown, expired or signed out. Any other error means that the session may be good and has no token
	// at the moment.
	SessionToken(r *http.Request, refused string) (token string, err error)
}

// What a [SessionSource] says about a request.
var (
	ErrNoCookie  = errors.New("jeton: the request has no session cookie")
	ErrNoSession = errors.New("jeton: the session cookie names no session")
)

// AllowCookie lets the route take the session cookie of a browser app, which [Config.Sessions] turns into an
// access token, from requests without an Authorization header. What is refused is refused by the same rules and
// with the same reasons, and no answer of the guard touches the cookie: a race or an outage signs nobody out.
//
// A request with an Authorization header is as on any route: the cookie beside it is not looked at, whosever it
// is, and also if the header's token is refused.
//
// Browsers send cookies by themselves, so a request that changes something (any method but GET, HEAD and
// OPTIONS, and any that opens a WebSocket) must come from a page of the API's own origin ([http.CrossOriginProtection]):
// others are refused with cross_origin. Handlers of GET must change nothing. A token in a header cannot be sent by
// a page that does not have it, and needs no such check.
//
// What a token carries holds here too: for one URL, so many uses, or one network, which for the token of a session
// is the network of the server that got it. A token that is bound to a key (DPoP) is refused, because a cookie is no
// proof of having the key. Central policies can forbid cookies (no_cookie).
func AllowCookie() Demand { return Demand{kind: demandCookie} }

// cookieUse says whether a route takes the session cookie.
type cookieUse uint8

const (
	cookieIgnored   cookieUse = iota
	cookieTaken               // by AllowCookie
	cookieForbidden           // taken by the code, and a central policy forbids it
)

var crossOrigin = http.NewCrossOriginProtection()

// fromSession decides about a request by its session cookie.
func (g *Guard) fromSession(req *http.Request, r *rule) (*Token, *Refusal) {
	if r.cookie == cookieForbidden {
		return g.told(nil, refuse(ReasonCookieNotAllowed), false)
	}
	if crossOrigin.Check(asUnsafe(req)) != nil {
		return g.told(nil, refuse(ReasonCrossOrigin), false)
	}
	text, refusal := g.sessionToken(req, "")
	if refusal != nil {
		return g.told(nil, refusal, false)
	}
	token, refusal := g.checkText(req.Context(), text, r)
	if refusal == nil || !oauth.TokenHelps(refusal.Reason) {
		return token, refusal
	}
	// The browser has no token to refresh.
	other, problem := g.sessionToken(req, text)
	if problem != nil || other == text {
		return nil, refusal // which says more than the failure to mend it
	}
	return g.checkText(req.Context(), other, r)
}

func (g *Guard) sessionToken(req *http.Request, refused string) (string, *Refusal) {
	text, err := g.config.Sessions.SessionToken(req, refused)
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, ErrNoCookie):
		return "", refuse(ReasonMissingToken)
	case errors.Is(err, ErrNoSession):
		return "", refuse(ReasonNoSession)
	}
	return "", refuseCause(ReasonSessionUnavailable, err)
}

// asUnsafe has the opening of a WebSocket, which is a GET that no CORS rule keeps from other origins, checked
// like a change.
func asUnsafe(req *http.Request) *http.Request {
	if req.Method != http.MethodGet || !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
		return req
	}
	return &http.Request{Method: http.MethodPost, URL: req.URL, Host: req.Host, Header: req.Header}
}

// checkText decides about a token as it stands in a header.
func (g *Guard) checkText(ctx context.Context, text string, r *rule) (*Token, *Refusal) {
	now := g.clock.now()
	if e := g.seen.Get(text, g.expiry(now)); e != nil && g.current(e, r, now) {
		return g.told(e, g.demands(ctx, e, r, now), true)
	}
	if !isToken68(text) {
		return g.told(nil, refuse(ReasonMalformedRequest), false)
	}
	return g.check(ctx, text, r)
}
