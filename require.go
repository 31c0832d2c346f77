package jeton

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jetonhq/jeton/oauth"
)

// privateAnswer is the Cache-Control of a guarded answer unless the handler sets its own.
const privateAnswer = "private, no-store"

// Require puts the guard in front of a handler: next is called only with a token that is good and meets all
// demands and those of the central policies for the request. It finds the token with [FromContext]. Its answers
// have "Cache-Control: private, no-store" unless it sets another one.
//
// Policies go by the path that the guard sees: what net/http.StripPrefix took away before is not in it.
func (g *Guard) Require(next http.Handler, demands ...Demand) http.Handler {
	rt := &route{rule: g.rule(slices.Clone(demands))}
	if rt.rule.cookie != cookieIgnored && g.config.Sessions == nil {
		g.log.Error("a route allows the session cookie, and Config.Sessions is not set: it takes tokens only")
		rt.rule.cookie = cookieIgnored
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r := rt.rule
		if t := g.policies.table.Load(); t != nil {
			r = *rt.under(t, cmp.Or(r.request, req))
		}
		cache := privateAnswer
		if req.URL.RawQuery != "" {
			var refusal *Refusal
			if req, refusal = r.takeQuery(req); refusal != nil {
				g.observer.Checked(refusal.Reason, false)
				g.write(w, r.refused(refusal), r.scopes())
				return
			}
			if r.presented != "" {
				cache = inQueryAnswer
				w.Header().Set("Referrer-Policy", "no-referrer")
			}
		}
		if r.request == nil {
			r.request = req
		}
		token, refusal := g.request(req, &r)
		if refusal != nil {
			g.write(w, r.refused(refusal), r.scopes())
			return
		}
		if r.scheme == dpopScheme {
			g.nextNonce(w.Header(), r.nonce)
		}
		w.Header()["Cache-Control"] = []string{cache}
		next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), contextKey{}, token)))
	})
}

func (g *Guard) request(req *http.Request, r *rule) (*Token, *Refusal) {
	text, refusal := r.presented, (*Refusal)(nil)
	if text == "" {
		text, r.scheme, refusal = extract(req.Header)
	}
	if refusal != nil {
		if r.cookie != cookieIgnored && req.Header["Authorization"] == nil {
			return g.fromSession(req, r)
		}
		return g.told(nil, refusal, false)
	}
	return g.checkText(req.Context(), text, r)
}

// WriteRefusal answers a request with the error of [Guard.Check], as [Guard.Require] does, for those who
// check by hand. Any other error becomes a 503 without detail.
func (g *Guard) WriteRefusal(w http.ResponseWriter, err error) {
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		refusal = refuse(ReasonAuthorityUnavailable)
	}
	g.write(w, refusal, refusal.Scope)
}

// Challenge is the value of WWW-Authenticate that goes with the error of [Guard.Check], for answers that are not
// HTTP; "" where another token would not help.
func (g *Guard) Challenge(err error) string {
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		return ""
	}
	return strings.Join(g.challenges(refusal, refusal.Scope), ", ")
}

// write answers with a refusal (RFC 6750 section 3, RFC 9728 section 5.1).
func (g *Guard) write(w http.ResponseWriter, refusal *Refusal, scopes []string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Jeton-Reason", refusal.Reason)
	if challenges := g.challenges(refusal, scopes); challenges != nil {
		h["Www-Authenticate"] = challenges
	}
	if refusal.Reason == ReasonNonceNeeded {
		g.nextNonce(h, "")
	}
	if refusal.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(refusal.Status)
	_ = json.NewEncoder(w).Encode(refusalBody{refusal.Code, refusal.Description, refusal.Reason})
}

type refusalBody struct {
	Error       oauth.Code `json:"error"`
	Description string     `json:"error_description"`
	Reason      string     `json:"reason"`
}

// challenges are the values of WWW-Authenticate, none where another token would not help. A request without a
// token is told every scheme that it may use, any other one its own.
func (g *Guard) challenges(refusal *Refusal, scopes []string) []string {
	c := oauth.BearerChallenge{Realm: g.config.Realm, ResourceMetadata: g.metadataURL}
	switch refusal.Reason {
	case ReasonMissingToken, ReasonCookieNotAllowed:
		// RFC 6750 section 3.1: no error code for a request that does not try.
		c.Scope = strings.Join(scopes, " ")
		return g.inSchemes(refusal, c, true)
	case ReasonSignInTooOld, ReasonStepUpNeeded: // RFC 9470 section 3
		c.ACRValues = strings.Join(refusal.ACRValues, " ")
		if refusal.MaxAge > 0 {
			c.MaxAge = strconv.FormatInt(int64(refusal.MaxAge/time.Second), 10)
		}
	case ReasonInsufficientScope:
		c.Scope = strings.Join(scopes, " ")
	case ReasonWrongClient, ReasonWrongSubject, ReasonWrongURL, ReasonNotSingleUse, ReasonCrossOrigin:
		return nil
	}
	if refusal.Status == http.StatusServiceUnavailable {
		return nil
	}
	c.Error, c.Description = refusal.Code, refusal.Description
	return g.inSchemes(refusal, c, refusal.Reason == ReasonMalformedRequest)
}

// inSchemes renders a challenge for the scheme of a refusal or, with all, for every one that the guard takes.
func (g *Guard) inSchemes(refusal *Refusal, c oauth.BearerChallenge, all bool) (list []string) {
	dpop := refusal.underDPoP()
	if !dpop {
		list = append(list, c.String())
	}
	if dpop || all && g.bindable() {
		list = append(list, c.DPoP(g.proofs.names...))
	}
	return list
}
