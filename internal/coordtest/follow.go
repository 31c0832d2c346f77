package coordtest

import (
	"context"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

// Issuer and Ring are what the tests of a kind of service publish.
const (
	Issuer = "https://id.example.com"
	Ring   = "access"
)

// Place is where the authority publishes.
type Place interface {
	Update(ctx context.Context, ring string, decide func(present []byte) ([]byte, error)) error
	Close() error
}

// Kind is a kind of coordination service, as its own package of key sources is
// tested with.
type Kind struct {
	Start  func(testing.TB) *Service
	Open   func(address string) (Place, error)
	Source func(testing.TB, Options) *jwk.FollowedSet // closed when the test ends
}

// Options are what all sources of keys have in common.
type Options struct {
	Address        string
	User, Password string
	Recheck        time.Duration
	OnChange       func(jwk.Publication)
	OnError        func(error)
}

// Follow is a source that hears of changes by its watches alone, unless the options say
// otherwise.
func (k Kind) Follow(t testing.TB, o Options) *jwk.FollowedSet {
	t.Helper()
	if o.Recheck == 0 {
		o.Recheck = time.Hour
	}
	return k.Source(t, o)
}

// Writer publishes as the authority does.
type Writer struct {
	t     testing.TB
	place Place
}

// Writer publishes at a service.
func (k Kind) Writer(t testing.TB, address string) *Writer {
	t.Helper()
	p, err := k.Open(address)
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return &Writer{t, p}
}

func (w *Writer) put(document []byte) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	Eventually(w.t, "it is written", func() bool {
		return w.place.Update(ctx, Ring, func([]byte) ([]byte, error) { return document, nil }) == nil
	})
}

// Publish writes a version of the ring, with its primary key first.
func (w *Writer) Publish(version uint64, keys ...*jwk.Key) {
	w.t.Helper()
	w.put(Document(w.t, version, keys...))
}

// Document is what is published of a ring.
func Document(t testing.TB, version uint64, keys ...*jwk.Key) []byte {
	t.Helper()
	b, err := jwk.Publication{Issuer: Issuer, Ring: Ring, Version: version, Time: time.Now(), Primary: keys[0].ID(), Keys: keys}.Encode()
	must(t, err)
	return b
}

// Key makes a key.
func Key(t testing.TB) *jwk.Key {
	t.Helper()
	k, err := jwk.Generate(jwk.ES256)
	must(t, err)
	return k
}

// Knows says whether a follower has a key.
func Knows(t testing.TB, s *jwk.FollowedSet, k *jwk.Key) func() bool {
	return func() bool {
		_, err := s.Keys(t.Context(), k.ID())
		return err == nil
	}
}

// Eventually waits for a condition that others bring about.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after 30 s: %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
