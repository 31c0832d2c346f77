package seal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/secret"
)

// A database that was sealed directly under the master key opens, and is sealed
// again under a data key. What is added meanwhile is sealed under the data key.
func TestOpen_DatabaseFromBeforeDataKeys(t *testing.T) {
	store, master := openStore(t), fileMaster(t)
	want := put(t, store, master.Direct(), 250)
	s := open(t, store, master)
	wantSecrets(t, store, s.Sealer(), want)
	if status, err := s.Status(t.Context()); err != nil || status.Direct != 250 || len(status.Keys) != 1 {
		t.Errorf("status %+v, %v", status, err)
	}
	must(t, s.Reseal(t.Context()))
	wantUnder(t, store, s)
	wantSecrets(t, store, s.Sealer(), want)
	again := open(t, store, master)
	wantSecrets(t, store, again.Sealer(), want)
	if status, err := again.Status(t.Context()); err != nil || status.Direct != 0 || len(status.Keys) != 1 || status.Keys[0].Values != 250 {
		t.Errorf("status %+v, %v", status, err)
	}
}

// With another master key than the one in use, or an incomplete set, the start
// fails, says which key is needed, and has changed nothing.
func TestOpen_WrongMaster(t *testing.T) {
	direct, wrapped := openStore(t), openStore(t)
	right, wrong := fileMaster(t), fileMaster(t)
	put(t, direct, right.Direct(), 3)
	put(t, wrapped, open(t, wrapped, right).Sealer(), 3)
	for name, store := range map[string]authority.Store{"sealed directly": direct, "with data keys": wrapped} {
		before, keys := sealed(t, store), dataKeys(t, store)
		_, err := seal.Open(t.Context(), seal.Config{Store: store, Masters: []seal.Master{wrong}})
		if err == nil {
			t.Fatalf("%s: it opened with another master key", name)
		}
		if name == "with data keys" && (!errors.Is(err, seal.ErrOtherMaster) || !strings.Contains(err.Error(), right.String()) || !strings.Contains(err.Error(), wrong.String())) {
			t.Errorf("%s: the error does not name both keys: %v", name, err)
		}
		if diff := cmp.Diff(before, sealed(t, store)) + cmp.Diff(keys, dataKeys(t, store)); diff != "" {
			t.Errorf("%s: the store was changed: %s", name, diff)
		}
	}
}

func dataKeys(t *testing.T, store authority.SealStore) []authority.DataKey {
	t.Helper()
	keys, err := store.DataKeys(t.Context())
	must(t, err)
	return keys
}

// Nodes that start at once on an empty store use one data key.
func TestOpen_ConcurrentFirstStarts(t *testing.T) {
	store, master := openStore(t), fileMaster(t)
	services := make([]*seal.Service, 5)
	var wg sync.WaitGroup
	for i := range services {
		wg.Go(func() {
			var err error
			services[i], err = seal.Open(t.Context(), seal.Config{Store: store, Masters: []seal.Master{master}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, s := range services {
		if s.Sealer().Current() != services[0].Sealer().Current() {
			t.Error("nodes seal with different data keys")
		}
	}
	if n := len(dataKeys(t, store)); n != 1 {
		t.Errorf("%d data keys", n)
	}
}

// After a rewrap the new master key is enough, and the old one is not; no sealed
// value was touched.
func TestRewrap(t *testing.T) {
	store, old, next := openStore(t), fileMaster(t), fileMaster(t)
	want := put(t, store, open(t, store, old).Sealer(), 5)
	before := sealed(t, store)
	s := open(t, store, next, old)
	wantSecrets(t, store, s.Sealer(), want)
	must(t, s.Rewrap(t.Context(), authority.System, "new master key"))
	wantSecrets(t, store, s.Sealer(), want)
	if diff := cmp.Diff(before, sealed(t, store)); diff != "" {
		t.Errorf("sealed values were changed: %s", diff)
	}
	wantSecrets(t, store, open(t, store, next).Sealer(), want)
	if _, err := seal.Open(t.Context(), seal.Config{Store: store, Masters: []seal.Master{old}}); !errors.Is(err, seal.ErrOtherMaster) {
		t.Errorf("the old master key alone: got %v, want ErrOtherMaster", err)
	}
}

// A master key that does not give back what it wrapped costs nothing.
func TestRewrap_BrokenMaster(t *testing.T) {
	store, good := openStore(t), fileMaster(t)
	want := put(t, store, open(t, store, good).Sealer(), 1)
	s := open(t, store, broken{fileMaster(t)}, good)
	if err := s.Rewrap(t.Context(), authority.System, ""); err == nil {
		t.Error("it was wrapped by a master key that forgets")
	}
	wantSecrets(t, store, open(t, store, good).Sealer(), want)
}

type broken struct{ *seal.FileMaster }

func (b broken) Unwrap(ctx context.Context, id secret.ID, w seal.Wrapped) (secret.DataKey, error) {
	key, err := b.FileMaster.Unwrap(ctx, id, w)
	key.Key = secret.New(strings.Repeat("x", secret.DataKeySize))
	return key, err
}

// Rotation of the data key and of the master key, killed in any of its writes,
// leaves a store whose every secret opens, and a next start finishes the work.
func TestRotate_KilledAnywhere(t *testing.T) {
	old, next := fileMaster(t), fileMaster(t)
	rotate := func(ctx context.Context, store authority.SealStore) error {
		s, err := seal.Open(ctx, seal.Config{Store: store, Masters: []seal.Master{next, old}, KeepOld: time.Nanosecond})
		if err != nil {
			return err
		}
		err = s.Rotate(ctx, authority.System, "")
		return errors.Join(err, s.Rewrap(ctx, authority.System, ""), s.Reseal(ctx))
	}
	for _, legacy := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			for n := 1; ; n++ {
				store := openStore(t)
				sealer := old.Direct()
				if !legacy {
					sealer = open(t, store, old).Sealer()
				}
				want := put(t, store, sealer, 250)
				err := rotate(t.Context(), &dying{Store: store, writes: n, after: after})
				if err == nil {
					if n < 6 {
						t.Fatalf("only %d writes", n-1)
					}
					break
				}
				what := fmt.Sprintf("legacy %v, killed in write %d, durable %v", legacy, n, after)
				s, openErr := seal.Open(t.Context(), seal.Config{Store: store, Masters: []seal.Master{next, old}, KeepOld: time.Nanosecond})
				if openErr != nil {
					t.Fatalf("%s: %v", what, openErr)
				}
				wantSecrets(t, store, s.Sealer(), want)
				if err := rotate(t.Context(), store); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				only := open(t, store, next)
				wantSecrets(t, store, only.Sealer(), want)
				wantUnder(t, store, only)
				if k := dataKeys(t, store); len(k) != 1 {
					t.Errorf("%s: %d data keys are left, want 1", what, len(k))
				}
			}
		}
	}
}

// A data key stays for a day after the next was made, also when nothing is
// sealed under it: somebody may be about to write what was sealed with it.
func TestRun_RemovesOldDataKeys(t *testing.T) {
	store, master := openStore(t), fileMaster(t)
	var now atomic.Pointer[time.Time]
	at := time.Now()
	now.Store(&at)
	s, err := seal.Open(t.Context(), seal.Config{Store: store, Masters: []seal.Master{master}, Now: func() time.Time { return *now.Load() }})
	must(t, err)
	late := s.Sealer().Seal([]byte("secret of late"), "key/ring/late")
	must(t, s.Rotate(t.Context(), authority.System, ""))
	soon := at.Add(23 * time.Hour)
	now.Store(&soon)
	must(t, s.Reseal(t.Context()))
	if n := len(dataKeys(t, store)); n != 2 {
		t.Fatalf("%d data keys hours after the rotation, want 2", n)
	}
	k := authority.Key{ID: "late", Ring: "ring", Algorithm: "HS256", State: authority.KeyStaged, Sealed: late, CreatedAt: at, ChangedAt: at}
	must(t, store.CreateKeys(t.Context(), []authority.Key{k}, event()))
	next := at.Add(25 * time.Hour)
	now.Store(&next)
	must(t, s.Reseal(t.Context()))
	if n := len(dataKeys(t, store)); n != 1 {
		t.Errorf("%d data keys a day later, want 1", n)
	}
	wantSecrets(t, store, open(t, store, master).Sealer(), map[string]string{"key/ring/late": "secret of late"})
}

// A node that was running while another rotated reads what the other sealed.
func TestSealer_OtherNodeRotated(t *testing.T) {
	store, master := openStore(t), fileMaster(t)
	a, b := open(t, store, master), open(t, store, master)
	must(t, b.Rotate(t.Context(), authority.System, ""))
	value := b.Sealer().Seal([]byte("x"), "p")
	if got, err := a.Sealer().Open(value, "p"); err != nil || string(got) != "x" {
		t.Errorf("got %q, %v", got, err)
	}
	must(t, a.Rotate(t.Context(), authority.System, "")) // it has seen b's
	must(t, b.Rotate(t.Context(), authority.System, "")) // it has not seen a's
	if n := len(dataKeys(t, store)); n != 4 {
		t.Errorf("%d data keys, want 4", n)
	}
}

// Sealing, opening, both rotations and sealing again at the same time: no value
// is ever unreadable.
func TestRotate_UnderLoad(t *testing.T) {
	store, old, next := openStore(t), fileMaster(t), fileMaster(t)
	want := put(t, store, open(t, store, old).Sealer(), 120)
	s := open(t, store, next, old)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				values, _, err := store.Sealed(context.WithoutCancel(ctx), "", 1000)
				if err != nil {
					t.Error(err)
					return
				}
				for _, v := range values {
					plain, err := s.Sealer().Open(v.Sealed, v.Place)
					if err != nil || string(plain) != want[v.Place] {
						t.Errorf("%s: got %q, %v", v.Place, plain, err)
						return
					}
				}
				if _, err := s.Sealer().Open(s.Sealer().Seal([]byte("x"), "p"), "p"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 10 {
		must(t, s.Rotate(t.Context(), authority.System, ""))
		must(t, s.Rewrap(t.Context(), authority.System, ""))
	}
	must(t, s.Reseal(t.Context()))
	stop()
	wg.Wait()
	wantUnder(t, store, s)
	wantSecrets(t, store, open(t, store, next).Sealer(), want)
}

// A start waits for a master key that cannot be reached, for a bounded time.
func TestOpen_WaitsForTheMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			fails int
			want  error
		}{{3, nil}, {1000, seal.ErrUnavailable}} {
			m := &flaky{FileMaster: fileMaster(t), fails: tt.fails}
			began := time.Now()
			_, err := seal.Open(t.Context(), seal.Config{Store: &memory{}, Masters: []seal.Master{m}, Patience: time.Minute})
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Errorf("%d failures: got %v, want %v", tt.fails, err, tt.want)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("%d failures: gave up after %v", tt.fails, took)
			}
		}
	})
}

type flaky struct {
	*seal.FileMaster
	fails int
}

func (f *flaky) Wrap(ctx context.Context, key secret.DataKey) (seal.Wrapped, error) {
	if f.fails--; f.fails >= 0 {
		return seal.Wrapped{}, fmt.Errorf("%w: no route", seal.ErrUnavailable)
	}
	return f.FileMaster.Wrap(ctx, key)
}

// memory is an empty store that takes a data key.
type memory struct{ authority.SealStore }

func (*memory) DataKeys(context.Context) ([]authority.DataKey, error) { return nil, nil }
func (*memory) Sealed(context.Context, string, int) ([]authority.SealedValue, string, error) {
	return nil, "", nil
}
func (*memory) AddDataKey(context.Context, authority.DataKey, secret.ID, authority.Event) error {
	return nil
}
