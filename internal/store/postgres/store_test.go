package postgres_test

import (
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/faultproxy"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/store/postgres"
	"github.com/jetonhq/jeton/internal/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestOpen(t *testing.T) {
	url := pgtest.Database(t)
	for range 2 {
		s, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// openTest opens an empty store.
func openTest(t testing.TB) *postgres.Store {
	t.Helper()
	return openAt(t, migrated(t))
}

// migrated is the URL of an empty database with our schema.
func migrated(t testing.TB) string {
	t.Helper()
	return pgtest.Copy(t, "migrated", func(url string) error {
		s, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if err != nil {
			return err
		}
		return s.Close()
	})
}

func openAt(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{
		URL:       url,
		ServerNow: func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }, // tests move their own clock
	})
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
	storetest.Run(t, func(t *testing.T) authority.Store { return openTest(t) })
}

// What becomes of calls whose request or answer is lost on the way to the server.
func TestStore_Faults(t *testing.T) {
	storetest.Faults(t, func(t *testing.T) (authority.Store, *faultproxy.Proxy) {
		u, err := url.Parse(migrated(t))
		if err != nil {
			t.Fatal(err)
		}
		way := faultproxy.New(t, u.Host)
		u.Host = way.Address
		return openAt(t, u.String()), way
	})
}

// Two nodes whose clocks differ.
func TestStore_Skew(t *testing.T) {
	storetest.Skew(t, func(t *testing.T) (a, b authority.Store) {
		url := migrated(t)
		return openAt(t, url), openAt(t, url)
	})
}
