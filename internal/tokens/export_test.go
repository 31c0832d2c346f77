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
