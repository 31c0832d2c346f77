package bff

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// authLeeway is how far the authority's clock may be behind ours when the age of a sign-in counts.
const authLeeway = 10 * time.Second

// callback is where the authority sends the browser back to (OAuth 2.1 section 4.1.2).
func (a *App) callback(w http.ResponseWriter, r *http.Request) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	for _, values := range q {
		if len(values) > 1 {
			err = errors.New("a parameter is there twice")
		}
	}
	if err != nil {
		a.refuseSignIn(w, r, http.StatusBadRequest, "The answer of the sign-in page cannot be read.", err)
		return
	}
	t, ok := a.attempt(r, q.Get("state"))
	if !ok {
		// Also a page that is loaded again. There is nothing wrong then, if the person is signed in.
		if key, err := a.key(r); err == nil {
			if _, err := a.look(r.Context(), key); err == nil {
				a.leave(w, "/")
				return
			}
		}
		a.refuseSignIn(w, r, http.StatusBadRequest, "This sign-in is too old, or was begun in another browser.", nil)
		return
	}
	a.setCookie(w, signInPrefix+t.State[:stateName], "", gone, http.SameSiteLaxMode)
	switch {
	case !same(q.Get("iss"), a.config.Issuer): // RFC 9207 section 2.4: also of errors
		a.refuseSignIn(w, r, http.StatusBadRequest, "The answer is not from the authority that was asked.", nil)
		return
	case q.Get("error") != "":
		a.refuseSignIn(w, r, http.StatusForbidden, "You were not signed in.", errors.New("the authority answered "+oauth.Printable(q.Get("error"))))
		return
	}
	s, err := a.redeem(r.Context(), q.Get("code"), t)
	if err != nil {
		a.refuseSignIn(w, r, http.StatusBadGateway, "You could not be signed in. Please try again.", err)
		return
	}
	if err := a.begin(w, r, s); err != nil {
		a.revoke(r.Context(), s.refresh)
		a.refuseSignIn(w, r, http.StatusServiceUnavailable, "You could not be signed in. Please try again later.", err)
		return
	}
	a.leave(w, t.Return)
}

// redeem turns the code into a session.
func (a *App) redeem(ctx context.Context, code string, t attempt) (*session, error) {
	now := a.now()
	answer, err := a.tokens.Redeem(ctx, code, a.RedirectURI(), t.Verifier)
	if err != nil {
		return nil, err
	}
	id, err := a.ids.Verify(ctx, answer.IDToken.Reveal())
	if err == nil {
		err = a.check(id, answer, t)
	}
	if err != nil {
		a.revoke(ctx, answer.RefreshToken)
		return nil, err
	}
	s := &session{
		version: 1, subject: id.Claims.Subject, sessionID: id.Claims.SessionID, created: now, seen: now,
		access: answer.Token.AccessToken, expiry: answer.Token.Expiry, obtained: now, refresh: answer.RefreshToken,
		claims: make(map[string]json.RawMessage),
	}
	for _, name := range a.config.Claims {
		if value, ok := id.Claims.Claim(name); ok {
			s.claims[name] = value
		}
	}
	if err := a.readClaims(ctx, s); err != nil {
		a.log.WarnContext(ctx, "the claims of a person could not be had; they are asked for again", "error", err)
	}
	return s, nil
}

// check holds a verified ID token against what was asked for (OpenID Connect Core section 3.1.3.7).
func (a *App) check(id *jwt.Token, answer client.Answer, t attempt) error {
	c := &id.Claims
	switch {
	case !same(c.Nonce, t.Nonce):
		return errors.New("bff: the ID token is for another sign-in")
	case c.AccessTokenHash != "" && !same(c.AccessTokenHash, jwt.HalfHash(id.Key.Algorithm(), answer.Token.AccessToken.Reveal())):
		return errors.New("bff: the ID token is for another access token")
	case t.MaxAge != nil && (!c.Has("auth_time") || t.Began.Sub(c.Authenticated()) > time.Duration(*t.MaxAge)*time.Second+authLeeway):
		return errors.New("bff: the person signed in longer ago than was asked for")
	}
	return nil
}

// begin stores the session under a new id, ends the one that this browser had, and sets the cookie.
func (a *App) begin(w http.ResponseWriter, r *http.Request, s *session) error {
	ctx := r.Context()
	id := random()
	key := digest("cookie", id)
	record, err := a.record(key, s)
	if err != nil {
		return err
	}
	if err := a.config.Store.Create(ctx, key, record); err != nil {
		return err
	}
	if old, err := a.key(r); err == nil {
		a.forget(ctx, old)
	}
	a.setSession(w, id)
	a.stats.SignIns.Add(1)
	return nil
}

// forget ends a session here, and its grant at the authority.
func (a *App) forget(ctx context.Context, key Digest) {
	s, err := a.look(ctx, key)
	if err != nil {
		return
	}
	if err := a.config.Store.End(ctx, key); err != nil {
		a.log.ErrorContext(ctx, "a session was not ended", "error", err)
	}
	a.work.Go(func() { a.revoke(ctx, s.refresh) })
}

// readClaims asks the authority for those claims that are configured and were not in the ID token (OpenID Connect
// Core section 5.3).
func (a *App) readClaims(ctx context.Context, s *session) error {
	of := digest("access token", s.access.Reveal())
	if s.claimsOf == of || len(a.config.Claims) == 0 {
		return nil
	}
	said, err := a.userinfo(ctx, s.access)
	if err != nil {
		return err
	}
	var sub string
	if json.Unmarshal(said["sub"], &sub) != nil || sub != s.subject { // section 5.3.2
		return errors.New("bff: the userinfo is about somebody else")
	}
	s.claimsOf = of
	for _, name := range a.config.Claims {
		if value, ok := said[name]; ok {
			s.claims[name] = value
		}
	}
	return nil
}

// maxUserinfo bounds what is kept of a person, in bytes.
const maxUserinfo = 16 << 10

func (a *App) userinfo(ctx context.Context, access client.Secret) (map[string]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.endpoint("/userinfo"), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", oauth.Bearer+" "+access.Reveal())
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("bff: userinfo answered %d", resp.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxUserinfo))
	if err != nil {
		return nil, err
	}
	var said map[string]json.RawMessage
	if json.Unmarshal(content, &said) != nil {
		return nil, errors.New("bff: the userinfo is no JSON object")
	}
	return said, nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
