package dpop_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/dpop"
)

func keys(names ...string) func() [][]byte {
	var list [][]byte
	for _, n := range names {
		list = append(list, []byte(strings.Repeat(n, 32)))
	}
	return func() [][]byte { return list }
}

func TestDP_33_Nonces(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	clock := func() time.Time { return now }
	n := &dpop.Nonces{Keys: keys("a"), Label: "authority", Now: clock}
	nonce := n.New()
	if !regexp.MustCompile(`^[!#-\[\]-~]+$`).MatchString(nonce) {
		t.Errorf("got %q, outside the syntax of RFC 9449 section 8.1", nonce)
	}
	if !n.Good(nonce) || n.Aging(nonce) {
		t.Error("a new nonce is not good")
	}
	for name, other := range map[string]*dpop.Nonces{
		"another label":         {Keys: keys("a"), Label: "api", Now: clock},
		"another key":           {Keys: keys("b"), Label: "authority", Now: clock},
		"label and key swapped": {Keys: keys("a"), Label: "authority\x00", Now: clock},
		"no keys":               {Keys: keys(), Label: "authority", Now: clock},
	} {
		if other.Good(nonce) || !other.Aging(nonce) {
			t.Errorf("%s: a foreign nonce is good", name)
		}
	}
	rotated := &dpop.Nonces{Keys: keys("b", "a"), Label: "authority", Now: clock}
	if !rotated.Good(nonce) || rotated.New() == nonce {
		t.Error("after a rotation, the nonce of the old key is not good, or still made")
	}
	for _, bad := range []string{"", "x", nonce + "A", nonce[1:], strings.ToUpper(nonce), "A" + nonce[1:]} {
		if bad != nonce && n.Good(bad) {
			t.Errorf("%q is good", bad)
		}
	}
	for _, step := range []struct {
		at          time.Duration
		good, aging bool
	}{
		{-11 * time.Second, false, false}, {-10 * time.Second, true, false}, {149 * time.Second, true, false},
		{150 * time.Second, true, true}, {299 * time.Second, true, true}, {300 * time.Second, false, true},
	} {
		now = time.Unix(1_700_000_000, 0).Add(step.at)
		if n.Good(nonce) != step.good || n.Aging(nonce) != step.aging {
			t.Errorf("after %v: got good %v, aging %v", step.at, n.Good(nonce), n.Aging(nonce))
		}
	}
	if (&dpop.Nonces{Keys: keys(), Now: clock}).New() != "" {
		t.Error("a nonce without a key")
	}
}

func digest(n int) [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func TestDP_14_SeenIsExact(t *testing.T) {
	s := dpop.NewSeen(1 << 20)
	want := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	want("first", s.Add(digest(1), 160, 100), nil)
	want("again", s.Add(digest(1), 160, 100), dpop.ErrReplayed)
	want("with a later end", s.Add(digest(1), 170, 130), dpop.ErrReplayed)
	want("in the last second", s.Add(digest(1), 170, 159), dpop.ErrReplayed)
	want("after it", s.Add(digest(1), 220, 160), nil)
	want("and again", s.Add(digest(1), 220, 219), dpop.ErrReplayed)
	want("after a long pause", s.Add(digest(1), 1e9+60, 1e9), nil)
	want("and again", s.Add(digest(1), 1e9+60, 1e9+1), dpop.ErrReplayed)
	want("over already", s.Add(digest(2), 50, 100), nil)
	// A clock that is set back forgets nothing.
	want("set back", s.Add(digest(1), 1e9+60, 1e9-50), dpop.ErrReplayed)
}

func TestDP_14_SeenIsBounded(t *testing.T) {
	const max = 1600
	s := dpop.NewSeen(max)
	kept, n := 0, 0
	var full bool
	for ; n < 10*max; n++ {
		switch err := s.Add(digest(n), 160, 100); {
		case err == nil:
			kept++
		case errors.Is(err, dpop.ErrFull):
			full = true
		default:
			t.Fatal(err)
		}
	}
	if !full || kept > max+16 || kept < max {
		t.Fatalf("kept %d of %d, full %v", kept, n, full)
	}
	for i := range 100 { // none was forgotten to make room
		if err := s.Add(digest(i), 160, 159); !errors.Is(err, dpop.ErrReplayed) {
			t.Fatalf("mark %d: got %v", i, err)
		}
	}
	if err := s.Add(digest(n), 220, 160); err != nil {
		t.Errorf("when the window is over: %v", err)
	}
}

func TestDP_14_OneOfManySeen(t *testing.T) {
	s := dpop.NewSeen(1000)
	for n := range 50 {
		var wins atomic.Int32
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if s.Add(digest(n), int64(160+n), int64(100+n)) == nil {
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("mark %d was new to %d callers", n, wins.Load())
		}
	}
}
