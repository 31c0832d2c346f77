package tokens

import (
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// SpliceRefresh makes a well-formed refresh token that names target's grant,
// back generations ago, with the MAC of donor.
func SpliceRefresh(target, donor string, back uint32) string {
	a, err := parseRefresh(target)
	if err != nil {
		panic(err)
	}
	b, err := parseRefresh(donor)
	if err != nil {
		panic(err)
	}
	a.mac = b.mac
	a.generation -= back
	return a.encode().Reveal()
}

// RefreshOfGeneration is the refresh token that generation n of g would have.
func RefreshOfGeneration(t *testing.T, s *Service, g authority.Grant, n uint32) secret.Value {
	t.Helper()
	g.Generation = n
	token, err := s.currentRefresh(g)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// SignAccess makes an access token of g, without its row.
func SignAccess(s *Service, g authority.Grant) (string, error) {
	token, _, err := s.accessToken(g, g.Scope, s.cfg.AccessLifetime)
	return token, err
}

// SignID makes an ID token of g that goes with an access token.
func SignID(s *Service, g authority.Grant, client authority.Client, accessToken string) (string, error) {
	return s.idToken(g, client, g.SessionID, g.Nonce, accessToken)
}
