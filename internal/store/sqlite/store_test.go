package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/storetest"
)

func openEmpty(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) authority.Store { return openEmpty(t) })
}

// A node whose clock is set back and forth: there is one node.
func TestStore_Skew(t *testing.T) {
	storetest.Skew(t, func(t *testing.T) (a, b authority.Store) {
		s := openEmpty(t)
		return s, s
	})
}
