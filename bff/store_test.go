package bff_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jetonhq/jeton/bff"
)

// kinds of stores, each as two that share what they keep.
var kinds = map[string]func(t *testing.T) (a, b bff.Store){
	"memory": func(*testing.T) (bff.Store, bff.Store) {
		m := bff.NewMemoryStore(0)
		return m, m
	},
	"directory": func(t *testing.T) (bff.Store, bff.Store) {
		dir := filepath.Join(t.TempDir(), "sessions")
		a, err := bff.OpenDirectory(dir)
		must(t, err)
		b, err := bff.OpenDirectory(dir)
		must(t, err)
		return a, b
	},
}

func eachStore(t *testing.T, f func(t *testing.T, a, b bff.Store)) {
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			f(t, a, b)
		})
	}
}

func newDigest() (d bff.Digest) {
	_, _ = rand.Read(d[:])
	return d
}

func newRecord() bff.Record {
	return bff.Record{Version: 1, Subject: newDigest(), SessionID: newDigest(), Expires: time.Now().Add(time.Hour).Truncate(time.Second), Data: []byte("sealed")}
}

func wantRecord(t *testing.T, s bff.Store, key bff.Digest, want bff.Record) {
	t.Helper()
	got, err := s.Find(t.Context(), key)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func wantNone(t *testing.T, s bff.Store, key bff.Digest) {
	t.Helper()
	if _, err := s.Find(t.Context(), key); !errors.Is(err, bff.ErrNotFound) {
		t.Errorf("found: %v", err)
	}
}

func TestStore_Life(t *testing.T) {
	eachStore(t, func(t *testing.T, a, b bff.Store) {
		ctx, key, r := t.Context(), newDigest(), newRecord()
		wantNone(t, a, key)
		if err := a.Replace(ctx, key, bff.Record{Version: 2}); !errors.Is(err, bff.ErrNotFound) {
			t.Errorf("replace what is not there: %v", err)
		}
		must(t, a.End(ctx, key))
		must(t, a.Create(ctx, key, r))
		if err := b.Create(ctx, key, r); !errors.Is(err, bff.ErrConflict) {
			t.Errorf("create what is there: %v", err)
		}
		wantRecord(t, b, key, r)
		for v := uint64(2); v < 12; v++ {
			r.Version, r.Data = v, []byte{byte(v)}
			must(t, b.Replace(ctx, key, r))
			wantRecord(t, a, key, r)
			for _, stale := range []uint64{1, v, v + 2} {
				if err := a.Replace(ctx, key, bff.Record{Version: stale, Data: []byte("stale")}); !errors.Is(err, bff.ErrConflict) {
					t.Errorf("version %d over %d: %v", stale, v, err)
				}
			}
		}
		wantRecord(t, a, key, r)
		must(t, b.End(ctx, key))
		wantNone(t, a, key)
		r.Version++
		if err := a.Replace(ctx, key, r); !errors.Is(err, bff.ErrNotFound) {
			t.Errorf("replace what was ended: %v", err)
		}
	})
}

func TestStore_EndsByOwner(t *testing.T) {
	eachStore(t, func(t *testing.T, a, b bff.Store) {
		ctx := t.Context()
		subject, session := newDigest(), newDigest()
		keys := make([]bff.Digest, 4)
		for i := range keys {
			keys[i] = newDigest()
			r := newRecord()
			switch i {
			case 0, 1:
				r.Subject, r.SessionID = subject, session
			case 2:
				r.Subject, r.SessionID = subject, bff.Digest{}
			}
			must(t, a.Create(ctx, keys[i], r))
			r.Version = 2
			r.Subject, r.SessionID = bff.Digest{}, bff.Digest{} // whose it is does not change
			must(t, a.Replace(ctx, keys[i], r))
		}
		count := func(n int, err error) int { must(t, err); return n }
		if n := count(b.EndSession(ctx, session)); n != 2 {
			t.Errorf("%d of the session, want 2", n)
		}
		wantNone(t, a, keys[0])
		if n := count(b.EndSession(ctx, session)); n != 0 {
			t.Errorf("%d again", n)
		}
		if n := count(b.EndSubject(ctx, subject)); n != 1 {
			t.Errorf("%d of the subject, want 1", n)
		}
		wantNone(t, a, keys[2])
		if _, err := a.Find(ctx, keys[3]); err != nil {
			t.Errorf("somebody else's: %v", err)
		}
		if n := count(b.EndSession(ctx, bff.Digest{})); n != 0 {
			t.Errorf("%d sessions of nobody", n)
		}
	})
}

// Of any number of replacements of one version one wins, and none is lost.
func TestStore_Racers(t *testing.T) {
	eachStore(t, func(t *testing.T, a, b bff.Store) {
		ctx, key, r := t.Context(), newDigest(), newRecord()
		must(t, a.Create(ctx, key, r))
		const racers, rounds = 16, 10
		var won atomic.Int64
		var all sync.WaitGroup
		for i := range racers {
			s := a
			if i%2 == 1 {
				s = b
			}
			all.Go(func() {
				for done := 0; done < rounds; {
					held, err := s.Find(ctx, key)
					if err != nil {
						t.Error(err)
						return
					}
					held.Version++
					switch err := s.Replace(ctx, key, held); {
					case err == nil:
						done++
						won.Add(1)
					case !errors.Is(err, bff.ErrConflict):
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		got, err := a.Find(ctx, key)
		must(t, err)
		if want := uint64(1 + won.Load()); got.Version != want || want != 1+racers*rounds {
			t.Errorf("version %d after %d replacements", got.Version, won.Load())
		}
	})
}

// What was ended does not come back, whoever was changing it.
func TestStore_EndBeatsReplace(t *testing.T) {
	eachStore(t, func(t *testing.T, a, b bff.Store) {
		ctx := context.Background()
		for range 50 {
			key, r := newDigest(), newRecord()
			must(t, a.Create(ctx, key, r))
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					for {
						held, err := a.Find(ctx, key)
						if err == nil {
							held.Version++
							err = a.Replace(ctx, key, held)
						}
						if errors.Is(err, bff.ErrNotFound) {
							return
						}
						if err != nil && !errors.Is(err, bff.ErrConflict) {
							t.Error(err)
							return
						}
					}
				})
			}
			must(t, b.End(ctx, key))
			all.Wait()
			wantNone(t, a, key)
		}
	})
}

func TestMemoryStore_IsBounded(t *testing.T) {
	ctx, s := t.Context(), bff.NewMemoryStore(2)
	old := newRecord()
	old.Expires = time.Now().Add(-time.Second)
	must(t, s.Create(ctx, newDigest(), old))
	must(t, s.Create(ctx, newDigest(), newRecord()))
	must(t, s.Create(ctx, newDigest(), newRecord())) // in place of the expired one
	if err := s.Create(ctx, newDigest(), newRecord()); !errors.Is(err, bff.ErrFull) {
		t.Errorf("%v", err)
	}
}

// Expired sessions, and what killed processes left, go as new sessions come; nothing is left of ended ones.
func TestDirectoryStore_Upkeep(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	s, err := bff.OpenDirectory(dir)
	must(t, err)
	garbage := filepath.Join(dir, "new", "GARBAGE")
	must(t, os.WriteFile(garbage, nil, 0o600))
	must(t, os.Chtimes(garbage, time.Now().Add(-2*time.Hour), time.Now().Add(-2*time.Hour)))
	expired := newRecord()
	expired.Expires = time.Now().Add(-time.Hour)
	first := newDigest()
	must(t, s.Create(ctx, first, expired))
	for range 1000 {
		key := newDigest()
		key[0] = first[0]
		must(t, s.Create(ctx, key, newRecord()))
		must(t, s.End(ctx, key))
		if _, err := s.Find(ctx, first); errors.Is(err, bff.ErrNotFound) {
			break
		}
	}
	wantNone(t, s, first)
	for _, place := range []string{"new", "owners/*", "sessions/*"} {
		left, err := filepath.Glob(filepath.Join(dir, place, "*"))
		must(t, err)
		if len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}
