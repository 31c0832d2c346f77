package keys_test

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/jwk"
)

func openStore(t testing.TB) authority.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newSealer(t testing.TB) *secret.Sealer {
	t.Helper()
	s, err := secret.NewSealer(secret.Bytes(32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A wrong sealing key stops the start and touches nothing.
func TestOpen_WrongSealingKey(t *testing.T) {
	store, right := openStore(t), newSealer(t)
	first, err := keys.Open(t.Context(), keys.Config{Store: store, Sealer: right})
	if err != nil {
		t.Fatal(err)
	}
	before, err := store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(t.Context(), keys.Config{Store: store, Sealer: newSealer(t)}); !errors.Is(err, keys.ErrSealed) {
		t.Fatalf("got %v, want ErrSealed", err)
	}
	after, err := store.Keys(t.Context())
	if err != nil || len(after) != len(before) {
		t.Fatalf("%d keys after, %d before (%v)", len(after), len(before), err)
	}
	again, err := keys.Open(t.Context(), keys.Config{Store: store, Sealer: right})
	if err != nil {
		t.Fatal(err)
	}
	a, err := first.AccessSigner()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := again.AccessSigner(); err != nil || b.ID() != a.ID() {
		t.Fatalf("another access key after the wrong one was tried: %v", err)
	}
}

// Nodes that start at once on an empty store use one set of keys.
func TestOpen_ConcurrentFirstStarts(t *testing.T) {
	for i := range 100 {
		var algs []jwk.Algorithm // with RSA, whose keys take the longest to make
		if i > 0 {
			algs = quick
		}
		t.Run("", func(t *testing.T) { testFirstStarts(t, algs) })
	}
}

func testFirstStarts(t *testing.T, algs []jwk.Algorithm) {
	store, sealer := openStore(t), newSealer(t)
	const nodes = 3
	rings := make([]*keys.Rings, nodes)
	errs := make([]error, nodes)
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() {
			rings[i], errs[i] = keys.Open(t.Context(), keys.Config{Store: store, Sealer: sealer, IDAlgorithms: algs})
		})
	}
	wg.Wait()
	for i := range nodes {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		for _, ring := range []string{authority.RingAccess, authority.RingRefresh, authority.RingFlow, authority.RingID} {
			a, b := rings[0].Usable(ring), rings[i].Usable(ring)
			if len(a) != len(b) || a[0].ID() != b[0].ID() {
				t.Errorf("node %d has other keys in ring %s", i, ring)
			}
		}
	}
}

// Only the public halves of the access and id rings are served; each has a use
// and an algorithm, and no HMAC key is among them (SPECS JW-30, JW-31).
func TestJW_30_PublicSet(t *testing.T) {
	rings, err := keys.Open(t.Context(), keys.Config{Store: openStore(t), Sealer: newSealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	all := rings.Public().All()
	if len(all) != 4 {
		t.Fatalf("%d published keys, want access ES256 and id RS256, ES256, Ed25519", len(all))
	}
	for _, k := range all {
		if k.Private() || k.Algorithm().Symmetric() || k.Use() != "sig" {
			t.Errorf("key %s: private %v, algorithm %s, use %q", k.ID(), k.Private(), k.Algorithm(), k.Use())
		}
	}
	hmac := rings.Usable(authority.RingRefresh)[0]
	if _, err := rings.Source(authority.RingAccess).Keys(t.Context(), hmac.ID()); !errors.Is(err, jwk.ErrUnknownKey) {
		t.Errorf("the refresh key verifies access tokens: %v", err)
	}
	id, err := rings.Signer(authority.RingID, jwk.ES256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rings.Source(authority.RingAccess).Keys(t.Context(), id.ID()); !errors.Is(err, jwk.ErrUnknownKey) {
		t.Errorf("an ID token key verifies access tokens: %v", err)
	}
}
