package clients

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// reservedClaims are those that say who a token is for, whose it is, what it
// may do and how it is checked. A minting policy cannot hand them out.
var reservedClaims = []string{"nonce", "act", "may_act", "reason", "exp", "iat", "nbf", "events", "acr", "amr", "auth_time"}

// ReservedClaim reports whether a minted token's further claims must not have
// this name.
func ReservedClaim(name string) bool {
	return name == "" || jwt.Registered(name) || slices.Contains(reservedClaims, name)
}

var mintSubjects = []authority.MintSubjects{authority.MintNone, authority.MintOwn, authority.MintPattern, authority.MintSession}

// checkMint reports what is wrong with a minting policy.
func (s *Service) checkMint(p Spec) error {
	m := p.Mint
	if m == nil {
		return nil
	}
	var problems []error
	wrong := func(format string, values ...any) {
		problems = append(problems, fmt.Errorf("minting policy: "+format, values...))
	}
	if p.AuthMethod == oauth.NoAuthentication {
		wrong("a public client cannot mint")
	}
	if !slices.Contains(mintSubjects, m.Subjects) {
		wrong("subjects is none of none, own, pattern, session")
	}
	if m.Subjects == authority.MintPattern && len(m.Patterns) == 0 {
		wrong("subjects pattern needs a pattern")
	}
	if len(m.Patterns) > 0 && m.Subjects != authority.MintPattern && m.Subjects != authority.MintSession {
		wrong("patterns are for subjects pattern and session")
	}
	for i, pattern := range m.Patterns {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			wrong("pattern %d is malformed", i+1)
		}
	}
	for i, name := range m.Claims {
		if ReservedClaim(name) {
			wrong("claim %d is reserved", i+1)
		}
	}
	problems = append(problems, unique("minting policy: claims", m.Claims), unique("minting policy: audiences", m.Audiences), checkScope(m.Scope))
	for _, audience := range m.Audiences {
		problems = append(problems, checkAudience(audience))
	}
	if slices.Contains(m.Scope, oauth.ScopeOfflineAccess) {
		wrong("minted tokens have no refresh, so %s means nothing", oauth.ScopeOfflineAccess)
	}
	if m.MaxLifetime < 0 || m.MaxLifetime > s.cfg.MaxAccessLifetime || m.MaxLifetime%time.Second != 0 {
		wrong("longest lifetime: it is whole seconds, at most %v", s.cfg.MaxAccessLifetime)
	}
	if m.Rate < 0 {
		wrong("rate: it is negative")
	}
	return errors.Join(problems...)
}
