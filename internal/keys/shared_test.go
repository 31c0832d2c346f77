package keys_test

import (
	"errors"
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/jwk"
)

// Access tokens verify with keys of the access ring and of shared rings, and
// with no other key of the authority. Only shared rings leave it.
func TestJW_10_AccessSource(t *testing.T) {
	rings, err := keys.Open(t.Context(), keys.Config{Store: openStore(t), Sealer: newSealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := rings.NewRing(t.Context(), "fleet", keys.Why{Actor: authority.System}); err != nil {
		t.Fatal(err)
	}
	for ring, signs := range map[string]bool{
		authority.RingAccess: true, "fleet": true, authority.RingID: false, authority.RingRefresh: false, authority.RingFlow: false,
	} {
		for _, k := range rings.Usable(ring) {
			got, err := rings.AccessSource().Keys(t.Context(), k.ID())
			if signs && (err != nil || len(got) != 1 || got[0].ID() != k.ID()) {
				t.Errorf("ring %s: got %v, %v", ring, got, err)
			}
			if !signs && !errors.Is(err, jwk.ErrUnknownKey) {
				t.Errorf("ring %s: got %v, %v, want ErrUnknownKey", ring, got, err)
			}
		}
		if _, err := rings.ExportShared(ring); (err == nil) != (ring == "fleet") {
			t.Errorf("export of ring %s: %v", ring, err)
		}
	}
	if got, err := rings.AccessSource().Keys(t.Context(), ""); !errors.Is(err, jwk.ErrUnknownKey) {
		t.Errorf("no kid: got %v, %v", got, err)
	}
	for _, k := range rings.Public().All() {
		if k.Algorithm().Symmetric() {
			t.Errorf("a secret is published: %s", k)
		}
	}
}

// The file of a ring has the secret that signs first, and one that is staged
// before it signs.
func TestExportShared_Staged(t *testing.T) {
	rings, err := keys.Open(t.Context(), keys.Config{Store: openStore(t), Sealer: newSealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	why := keys.Why{Actor: authority.System}
	if err := rings.NewRing(t.Context(), "fleet", why); err != nil {
		t.Fatal(err)
	}
	active, err := rings.SharedSigner("fleet")
	if err != nil {
		t.Fatal(err)
	}
	staged, err := rings.Stage(t.Context(), "fleet", "", why)
	if err != nil {
		t.Fatal(err)
	}
	b, err := rings.ExportShared("fleet")
	if err != nil {
		t.Fatal(err)
	}
	set, err := jwk.ParseSecrets(b)
	if err != nil {
		t.Fatal(err)
	}
	if all := set.All(); len(all) != 2 || all[0].ID() != active.ID() || all[1].ID() != staged.ID {
		t.Errorf("got %v, want %s and %s", all, active.ID(), staged.ID)
	}
	if now, err := rings.SharedSigner("fleet"); err != nil || now.ID() != active.ID() {
		t.Errorf("a staged secret signs: %v, %v", now, err)
	}
}
