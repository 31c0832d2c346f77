package jwk_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

func TestFollowedSet_NeverGoesBack(t *testing.T) {
	old, new := generate(t, jwk.ES256), generate(t, jwk.ES256)
	first, second := encode(t, publication(1, old)), encode(t, publication(2, new, old))
	var seen []uint64
	set, err := jwk.NewFollowedSet(jwk.FollowConfig{Issuer: "https://id.example.com", OnChange: func(p jwk.Publication) { seen = append(seen, p.Version) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		document []byte
		err      error
	}{{first, nil}, {second, nil}, {second, nil}, {first, jwk.ErrOlder}, {[]byte("{}"), jwk.ErrUnsupported}} {
		if err := set.Offer(step.document); !errors.Is(err, step.err) {
			t.Errorf("offer: %v, want %v", err, step.err)
		}
	}
	if p, ok := set.Publication(); !ok || p.Version != 2 || p.Primary != new.ID() {
		t.Errorf("held: %+v, %v", p, ok)
	}
	if len(seen) != 2 || seen[0] != 1 || seen[1] != 2 {
		t.Errorf("changes told: %v", seen)
	}
	for _, k := range []*jwk.Key{old, new} {
		if got, err := set.Keys(t.Context(), k.ID()); err != nil || len(got) != 1 {
			t.Errorf("key %s: %v, %v", k.ID(), got, err)
		}
	}
	if _, err := set.Keys(t.Context(), "nobody"); !errors.Is(err, jwk.ErrUnknownKey) {
		t.Errorf("an unknown key: %v", err)
	}
}

func TestFollowedSet_AnotherRingOrIssuer(t *testing.T) {
	key := generate(t, jwk.ES256)
	for name, p := range map[string]jwk.Publication{
		"another ring":   {Issuer: "https://id.example.com", Ring: "id", Version: 9, Keys: []*jwk.Key{key}},
		"another issuer": {Issuer: "https://evil.example.com", Ring: "access", Version: 9, Keys: []*jwk.Key{key}},
	} {
		set, err := jwk.NewFollowedSet(jwk.FollowConfig{Issuer: "https://id.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Offer(encode(t, p)); !errors.Is(err, jwk.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if _, ok := set.Publication(); ok {
			t.Errorf("%s is held", name)
		}
	}
}

func TestFollowedSet_FirstPublicationIsWaitedFor(t *testing.T) {
	key := generate(t, jwk.ES256)
	synctest.Test(t, func(t *testing.T) {
		set, err := jwk.NewFollowedSet(jwk.FollowConfig{Issuer: "https://id.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := set.Keys(t.Context(), key.ID()); !errors.Is(err, jwk.ErrUnavailable) || time.Since(began) != time.Second {
			t.Errorf("nothing yet: %v after %v", err, time.Since(began))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := set.Keys(short, key.ID()); !errors.Is(err, jwk.ErrUnavailable) {
			t.Errorf("an impatient request: %v", err)
		}
		go func() {
			time.Sleep(500 * time.Millisecond)
			if err := set.Offer(encode(t, publication(1, key))); err != nil {
				t.Error(err)
			}
		}()
		if _, err := set.Keys(t.Context(), key.ID()); err != nil {
			t.Errorf("a request that waits: %v", err)
		}
		time.Sleep(3 * time.Second)
		if got := set.Staleness(); got != 3*time.Second {
			t.Errorf("staleness %v", got)
		}
		if err := set.Offer(encode(t, publication(1, key))); err != nil || set.Staleness() != 0 {
			t.Errorf("confirmed: %v, staleness %v", err, set.Staleness())
		}
	})
}
