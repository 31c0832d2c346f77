package tokens

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// Step is one line of an explanation, in the order in which a guard checks.
type Step struct {
	Name   string
	OK     bool
	Detail string
}

// Explanation says what a token is and whether, and why not, it would be
// accepted now. It is for operators: it tells what refusals never tell.
type Explanation struct {
	Kind    string // "access token" or "refresh token"
	Header  []byte // JSON, nil for a refresh token
	Payload []byte // JSON, nil for a refresh token
	Steps   []Step
}

// OK reports whether every check passed.
func (e Explanation) OK() bool {
	for _, s := range e.Steps {
		if !s.OK {
			return false
		}
	}
	return len(e.Steps) > 0
}

func (e *Explanation) add(name string, ok bool, format string, args ...any) bool {
	e.Steps = append(e.Steps, Step{name, ok, fmt.Sprintf(format, args...)})
	return ok
}

// Explain examines a token with everything the authority knows. It asks only
// this authority's own store.
func (s *Service) Explain(ctx context.Context, token string) (Explanation, error) {
	token = strings.TrimSpace(token)
	if looksLikeRefresh(token) {
		return s.explainRefresh(ctx, token)
	}
	e := Explanation{Kind: "access token"}
	u, err := jwt.Parse(token, 0)
	if !e.add("form", err == nil, "%s", orText(err, "compact JWS with strict JSON")) {
		return e, nil
	}
	e.Header, e.Payload = u.RawHeader, u.Claims.Payload()
	s.explainSignature(ctx, &e, u, token)
	s.explainTimes(&e, u.Claims)
	explainBinding(&e, u.Claims)
	return e, s.explainRecords(ctx, &e, u.Claims, token)
}

func orText(err error, otherwise string) string {
	if err != nil {
		return err.Error()
	}
	return otherwise
}

func (s *Service) explainSignature(ctx context.Context, e *Explanation, u *jwt.Unverified, token string) {
	h := u.Header
	e.add("type", strings.EqualFold(strings.TrimPrefix(strings.ToLower(h.Type), "application/"), jwt.AccessToken.Type),
		"typ is %q, an access token has %q", h.Type, jwt.AccessToken.Type)
	ring, state, known := s.cfg.Keys.State(h.KeyID)
	switch {
	case !known:
		e.add("key", false, "kid %q is no key of this authority", h.KeyID)
	case !accessRing(ring):
		e.add("key", false, "kid is a key of the %s ring, which signs no access tokens", ring)
	case state == authority.KeyRetired || state == authority.KeyCompromised || s.cfg.View.KeyRevoked(h.KeyID):
		e.add("key", false, "the key is %s", state)
	default:
		e.add("key", true, "a key of the %s ring, %s", ring, state)
	}
	_, err := s.access.Verify(ctx, token)
	switch reason := jwt.ReasonOf(err); reason {
	case jwt.ReasonBadSignature, jwt.ReasonUnknownKey, jwt.ReasonWrongAlgorithm, jwt.ReasonKeysUnavailable:
		e.add("signature", false, "%s (alg %s)", reason, h.Algorithm)
	case jwt.ReasonWrongType, jwt.ReasonMalformed:
		e.add("signature", false, "not checked: %s", reason)
	default:
		e.add("signature", true, "verifies with %s", h.Algorithm)
	}
	e.add("issuer", u.Claims.Issuer == s.cfg.Issuer, "iss is %q, this authority is %q", u.Claims.Issuer, s.cfg.Issuer)
}

func (s *Service) explainTimes(e *Explanation, c jwt.Claims) {
	now := s.cfg.Now()
	iat, exp := time.Unix(c.IssuedAt, 0).UTC(), time.Unix(c.ExpiresAt, 0).UTC()
	e.add("issued", !iat.After(now.Add(10*time.Second)), "iat %s (%s ago)", iat.Format(time.RFC3339), now.Sub(iat).Round(time.Second))
	if now.Before(exp) {
		e.add("expiry", true, "exp %s (in %s)", exp.Format(time.RFC3339), exp.Sub(now).Round(time.Second))
	} else {
		e.add("expiry", false, "exp %s (%s ago)", exp.Format(time.RFC3339), now.Sub(exp).Round(time.Second))
	}
}

// explainBinding says who may present the token. A binding is no fault.
func explainBinding(e *Explanation, c jwt.Claims) {
	switch cnf := c.Confirmation; {
	case !c.Has("cnf"):
		e.add("binding", true, "none: whoever has the token can use it (Bearer)")
	case cnf.KeyThumbprint != "" && cnf.CertificateThumbprint == "" && !cnf.Others:
		e.add("binding", true, "good only with a DPoP proof by the key %s", cnf.KeyThumbprint)
	default:
		e.add("binding", false, "unsupported_restriction: cnf names more than a DPoP key")
	}
}

func (s *Service) explainRecords(ctx context.Context, e *Explanation, c jwt.Claims, token string) error {
	jti, gid, sid := tokenIDs(c)
	states, err := s.cfg.Store.Tokens(ctx, []secret.ID{jti})
	if err != nil {
		return fmt.Errorf("tokens: registry: %w", err)
	}
	state, known := states[jti]
	digest := secret.ShortDigest(token)
	log, logErr := s.cfg.Store.Revoked(ctx, authority.KindToken, jti)
	switch {
	case known && secret.Equal(state.Digest[:], digest[:]):
		e.add("registry", true, "this authority issued it")
	case known:
		e.add("registry", false, "unknown_token: its jti was issued to a different token; someone may hold a signing key")
	case logErr == nil:
		e.add("registry", true, "its row was removed when it was revoked")
	default:
		e.add("registry", false, "unknown_token: never issued by this authority, or expired and swept")
	}
	if err := s.explainGrant(ctx, e, gid); err != nil {
		return err
	}
	if err := s.explainSession(ctx, e, sid); err != nil {
		return err
	}
	if logErr == nil {
		e.add("revocation", false, "revoked at %s: %s (entry %d)", log.At.UTC().Format(time.RFC3339), log.Reason, log.Seq)
		return nil
	}
	if v := s.cfg.View.Revoked(revocation.ID(jti), revocation.ID(gid), revocation.ID(sid)); v.Hit() {
		e.add("revocation", false, "its %s is in the view: %s", v.Kind, v.Reason)
		return nil
	}
	e.add("revocation", true, "no entry for the token, its grant or its session")
	return nil
}

func (s *Service) explainGrant(ctx context.Context, e *Explanation, gid secret.ID) error {
	g, err := s.cfg.Store.Grant(ctx, gid)
	switch {
	case errors.Is(err, authority.ErrNotFound):
		e.add("grant", false, "not found: it ended long ago, or never was")
	case err != nil:
		return fmt.Errorf("tokens: grant: %w", err)
	case !g.EndedAt.IsZero():
		e.add("grant", false, "ended at %s: %s", g.EndedAt.UTC().Format(time.RFC3339), g.EndReason)
	default:
		e.add("grant", true, "live, made by %s for client %s", g.Type, g.ClientID)
	}
	return nil
}

func (s *Service) explainSession(ctx context.Context, e *Explanation, sid secret.ID) error {
	if sid.IsZero() {
		e.add("session", true, "the token depends on no session")
		return nil
	}
	session, err := s.cfg.Store.Session(ctx, sid)
	switch {
	case errors.Is(err, authority.ErrNotFound):
		// Signing in again replaces a session and keeps its grants.
		e.add("session", true, "replaced by a later sign-in")
	case err != nil:
		return fmt.Errorf("tokens: session: %w", err)
	case !session.EndedAt.IsZero():
		e.add("session", false, "ended at %s: %s", session.EndedAt.UTC().Format(time.RFC3339), session.EndReason)
	default:
		e.add("session", true, "live, signed in at %s", session.AuthTime.UTC().Format(time.RFC3339))
	}
	return nil
}

func (s *Service) explainRefresh(ctx context.Context, token string) (Explanation, error) {
	e := Explanation{Kind: "refresh token"}
	r, err := parseRefresh(token)
	if !e.add("form", err == nil, "%s", orText(err, "prefix, length and checksum are right")) {
		return e, nil
	}
	g, err := s.cfg.Store.Grant(ctx, r.grant)
	if errors.Is(err, authority.ErrNotFound) {
		e.add("grant", false, "not found: it ended long ago, or never was")
		return e, nil
	}
	if err != nil {
		return e, fmt.Errorf("tokens: grant: %w", err)
	}
	if !e.add("mac", s.refreshIsOurs(r, g), "keyed by the refresh ring and the grant's salt") {
		return e, nil
	}
	if g.EndedAt.IsZero() {
		e.add("grant", g.Live(s.cfg.Now()), "client %s, idle until %s, ends %s", g.ClientID,
			g.IdleUntil.UTC().Format(time.RFC3339), g.ExpiresAt.UTC().Format(time.RFC3339))
	} else {
		e.add("grant", false, "ended at %s: %s", g.EndedAt.UTC().Format(time.RFC3339), g.EndReason)
	}
	if g.KeyThumbprint == "" {
		e.add("binding", true, "to no key")
	} else {
		e.add("binding", true, "good only with a DPoP proof by the key %s", g.KeyThumbprint)
	}
	switch {
	case r.generation > g.Generation:
		e.add("generation", false, "%d is ahead of the record (%d): was the database restored?", r.generation, g.Generation)
	case r.generation == g.Generation:
		e.add("generation", true, "%d, the current one", r.generation)
	case r.generation+1 == g.Generation:
		e.add("generation", g.Policy != authority.RefreshStrict, "%d, the predecessor of the current one (policy %s)", r.generation, g.Policy)
	default:
		e.add("generation", false, "%d, but its successor has been used (current %d): presenting it ends the grant", r.generation, g.Generation)
	}
	return e, nil
}
