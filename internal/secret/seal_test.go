package secret

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func newKey(ms int64) DataKey { return NewDataKey(NewID(time.UnixMilli(ms))) }

// A value opens under the data key it names, in its place, unchanged, and in no
// other way; and values that were sealed directly, before there were data keys,
// still open.
func TestSealer_DataKeys(t *testing.T) {
	direct, err := NewSealer(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	before := direct.Seal([]byte("old"), "key/a")
	s := NewDataSealer([]*Sealer{direct}, nil)
	a, b := newKey(1), newKey(2)
	hold := func(keys ...DataKey) {
		t.Helper()
		if err := s.Hold(keys); err != nil {
			t.Fatal(err)
		}
	}
	hold(a)
	first := s.Seal([]byte("private"), "key/a")
	hold(a, b)
	second := s.Seal([]byte("private"), "key/a")
	if id, ok := SealedBy(first); !ok || id != a.ID {
		t.Errorf("sealed by %v, want the only data key", id)
	}
	if id, ok := SealedBy(second); !ok || id != b.ID || s.Current() != b.ID {
		t.Errorf("sealed by %v, want the newest data key", id)
	}
	if id, ok := SealedBy(before); !ok || !id.IsZero() {
		t.Errorf("sealed by %v, want none", id)
	}
	for _, sealed := range [][]byte{first, second} {
		if got, err := s.Open(sealed, "key/a"); err != nil || string(got) != "private" {
			t.Fatalf("Open = %q, %v", got, err)
		}
		if _, err := s.Open(sealed, "key/b"); !errors.Is(err, ErrSeal) {
			t.Error("it opened in another place")
		}
		for i := range sealed {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1
			if _, err := s.Open(bad, "key/a"); !errors.Is(err, ErrSeal) {
				t.Fatalf("byte %d changed and it still opened", i)
			}
			if _, err := s.Open(sealed[:i], "key/a"); !errors.Is(err, ErrSeal) {
				t.Fatalf("cut to %d bytes and it still opened", i)
			}
		}
	}
	if got, err := s.Open(before, "key/a"); err != nil || string(got) != "old" {
		t.Errorf("sealed directly: %q, %v", got, err)
	}
	// Another key under the same id does not open it.
	other := newKey(3)
	other.ID = b.ID
	hold(a, other)
	if _, err := s.Open(second, "key/a"); !errors.Is(err, ErrSeal) {
		t.Error("another key with the same id opened it")
	}
	hold(b)
	if _, err := s.Open(first, "key/a"); !errors.Is(err, ErrSeal) {
		t.Error("a data key that is not held opened it")
	}
}

// A data key that another node made is asked for when a value names it.
func TestSealer_FindsDataKeys(t *testing.T) {
	a, b := newKey(1), newKey(2)
	other := NewDataSealer(nil, nil)
	if err := other.Hold([]DataKey{a, b}); err != nil {
		t.Fatal(err)
	}
	var asked []ID
	var s *Sealer
	s = NewDataSealer(nil, func(id ID) {
		asked = append(asked, id)
		if err := s.Hold([]DataKey{a, b}); err != nil {
			t.Error(err)
		}
	})
	if err := s.Hold([]DataKey{a}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := s.Open(other.Seal([]byte("x"), "p"), "p"); err != nil || string(got) != "x" {
			t.Fatalf("Open = %q, %v", got, err)
		}
	}
	if len(asked) != 1 || asked[0] != b.ID {
		t.Errorf("asked for %v, want once for %v", asked, b.ID)
	}
}

func TestSealer_RefusesBadDataKeys(t *testing.T) {
	s := NewDataSealer(nil, nil)
	for name, k := range map[string]DataKey{
		"no id": {Key: newKey(1).Key}, "no key": {ID: newKey(1).ID}, "short key": {newKey(1).ID, New("short")},
	} {
		if s.Hold([]DataKey{k}) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("something was sealed without a key")
		}
	}()
	s.Seal([]byte("x"), "p")
}

func TestDataKeyIsUnprintable(t *testing.T) {
	k := newKey(1)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if out := fmt.Sprintf(verb, k); strings.Contains(out, k.Key.Reveal()) || strings.Contains(out, fmt.Sprintf("%x", k.Key.Reveal())) {
			t.Errorf("%s prints the key", verb)
		}
	}
}
