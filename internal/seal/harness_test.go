package seal_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T) authority.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func fileMaster(t *testing.T) *seal.FileMaster {
	t.Helper()
	m, err := seal.NewFileMaster(secret.Bytes(32))
	must(t, err)
	return m
}

func open(t *testing.T, store authority.SealStore, ms ...seal.Master) *seal.Service {
	t.Helper()
	s, err := seal.Open(t.Context(), seal.Config{Store: store, Masters: ms, Patience: time.Second})
	must(t, err)
	return s
}

// put stores n secrets, sealed by sealer, and returns their places and texts.
func put(t *testing.T, store authority.Store, sealer *secret.Sealer, n int) map[string]string {
	t.Helper()
	want := map[string]string{}
	var keys []authority.Key
	now := time.Now()
	for i := range n {
		id := fmt.Sprintf("key%04d", i)
		place := "key/ring/" + id
		want[place] = "secret of " + id
		keys = append(keys, authority.Key{
			ID: id, Ring: "ring", Algorithm: "HS256", State: authority.KeyStaged, CreatedAt: now, ChangedAt: now,
			Sealed: sealer.Seal([]byte(want[place]), place),
		})
	}
	must(t, store.CreateKeys(t.Context(), keys, event()))
	return want
}

func event() authority.Event {
	return authority.Event{ID: secret.NewID(time.Now()), Type: authority.EventKeyCreated, Actor: authority.System}
}

// wantSecrets opens everything in the store.
func wantSecrets(t *testing.T, store authority.SealStore, sealer *secret.Sealer, want map[string]string) {
	t.Helper()
	got := 0
	for _, v := range sealed(t, store) {
		plain, err := sealer.Open(v.Sealed, v.Place)
		if err != nil || string(plain) != want[v.Place] {
			t.Fatalf("%s: got %q, %v", v.Place, plain, err)
		}
		got++
	}
	if got != len(want) {
		t.Fatalf("%d secrets, want %d", got, len(want))
	}
}

func sealed(t *testing.T, store authority.SealStore) []authority.SealedValue {
	t.Helper()
	var all []authority.SealedValue
	for after := ""; ; {
		values, next, err := store.Sealed(t.Context(), after, 1000)
		must(t, err)
		all = append(all, values...)
		if next == "" {
			return all
		}
		after = next
	}
}

// wantUnder fails unless everything is sealed under the newest data key.
func wantUnder(t *testing.T, store authority.SealStore, s *seal.Service) {
	t.Helper()
	for _, v := range sealed(t, store) {
		if id, ok := secret.SealedBy(v.Sealed); !ok || id != s.Sealer().Current() {
			t.Fatalf("%s is sealed under %v, want the newest data key", v.Place, id)
		}
	}
}

var errKilled = errors.New("killed")

// dying is a store whose process is killed in its n-th write, before or after
// the write was made durable. From then on it does nothing.
type dying struct {
	authority.Store
	writes int // until then
	after  bool
}

func (d *dying) do(write func() error) error {
	d.writes--
	switch {
	case d.writes > 0:
		return write()
	case d.writes == 0 && d.after:
		if err := write(); err != nil {
			return err
		}
	}
	return errKilled
}

func (d *dying) AddDataKey(ctx context.Context, k authority.DataKey, after secret.ID, e authority.Event) error {
	return d.do(func() error { return d.Store.AddDataKey(ctx, k, after, e) })
}

func (d *dying) RewrapDataKey(ctx context.Context, k authority.DataKey, was []byte, e authority.Event) error {
	return d.do(func() error { return d.Store.RewrapDataKey(ctx, k, was, e) })
}

func (d *dying) RemoveDataKey(ctx context.Context, id secret.ID, e authority.Event) error {
	return d.do(func() error { return d.Store.RemoveDataKey(ctx, id, e) })
}

func (d *dying) Reseal(ctx context.Context, changes []authority.Reseal) (n int, err error) {
	err = d.do(func() error { n, err = d.Store.Reseal(ctx, changes); return err })
	return n, err
}
