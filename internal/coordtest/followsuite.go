package coordtest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/faultproxy"
	"github.com/jetonhq/jeton/jwk"
)

// Run holds a kind of source against what every one of them keeps: it follows
// each change, keeps the last good keys, and never goes back.
func (k Kind) Run(t *testing.T) {
	for name, test := range map[string]func(*testing.T, Kind){
		"EveryRotation":               everyRotation,
		"NeverRegresses":              neverRegresses,
		"ServerKilledAndStartedAgain": killedAndStartedAgain,
		"Partition":                   partition,
		"RechecksByItself":            rechecksByItself,
		"DownAtTheStart":              downAtTheStart,
	} {
		t.Run(name, func(t *testing.T) { test(t, k) })
	}
}

func version(s *jwk.FollowedSet) uint64 {
	p, _ := s.Publication()
	return p.Version
}

func everyRotation(t *testing.T, kind Kind) {
	server := kind.Start(t)
	var mu sync.Mutex
	var versions []uint64
	s := kind.Follow(t, Options{Address: server.Address, OnChange: func(p jwk.Publication) {
		mu.Lock()
		defer mu.Unlock()
		versions = append(versions, p.Version)
	}})
	if _, err := s.Keys(t.Context(), "any"); !errors.Is(err, jwk.ErrUnavailable) {
		t.Errorf("nothing was published yet: %v", err)
	}
	w := kind.Writer(t, server.Address)
	old := Key(t)
	for v := uint64(1); v <= 30; v++ {
		next := Key(t)
		w.Publish(v, next, old)
		Eventually(t, "the new key is known", Knows(t, s, next))
		if !Knows(t, s, old)() {
			t.Fatal("the old key went too early")
		}
		old = next
	}
	// Faster than anybody reads: a watch may tell of several at once, or fire once and
	// tell of no more.
	for v := uint64(31); v <= 200; v++ {
		w.Publish(v, old)
	}
	Eventually(t, "the last one is held", func() bool { return version(s) == 200 })
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(versions); i++ {
		if versions[i] <= versions[i-1] {
			t.Fatalf("version %d after %d", versions[i], versions[i-1])
		}
	}
}

// What is published goes back, because somebody restored or meddled: the followers do not.
func neverRegresses(t *testing.T, kind Kind) {
	server := kind.Start(t)
	failures := make(chan error, 100)
	s := kind.Follow(t, Options{Address: server.Address, OnError: func(err error) { failures <- err }})
	w := kind.Writer(t, server.Address)
	good := Key(t)
	w.Publish(7, good)
	Eventually(t, "version 7", func() bool { return version(s) == 7 })
	for _, bad := range [][]byte{Document(t, 6, Key(t)), []byte("not a publication"), {}} {
		w.put(bad)
		Eventually(t, "it is said that this cannot be used", func() bool {
			select {
			case err := <-failures:
				return errors.Is(err, jwk.ErrOlder) || errors.Is(err, jwk.ErrMalformed)
			default:
				return false
			}
		})
		if version(s) != 7 || !Knows(t, s, good)() {
			t.Errorf("after %.20q: version %d", bad, version(s))
		}
	}
	w.Publish(8, good)
	Eventually(t, "version 8", func() bool { return version(s) == 8 })
}

func killedAndStartedAgain(t *testing.T, kind Kind) {
	server := kind.Start(t)
	s := kind.Follow(t, Options{Address: server.Address})
	w := kind.Writer(t, server.Address)
	first, second := Key(t), Key(t)
	w.Publish(1, first)
	Eventually(t, "the first key", Knows(t, s, first))
	server.Kill()
	if !Knows(t, s, first)() {
		t.Error("the last good keys are gone with the server")
	}
	server.Start()
	w.Publish(2, second, first)
	Eventually(t, "the key of after the restart", Knows(t, s, second))
}

// What was published while nothing passed is there when that is over, also where
// the service has forgotten the follower and its watches meanwhile.
func partition(t *testing.T, kind Kind) {
	server := kind.Start(t)
	link := faultproxy.New(t, server.Address)
	s := kind.Follow(t, Options{Address: link.Address})
	w := kind.Writer(t, server.Address)
	first, second := Key(t), Key(t)
	w.Publish(1, first)
	Eventually(t, "the first key", Knows(t, s, first))
	link.Stall()
	w.Publish(2, second, first)
	Eventually(t, "it is said how old the keys are", func() bool { return s.Staleness() > 2*time.Second })
	if !Knows(t, s, first)() || Knows(t, s, second)() {
		t.Error("cut off, it should have the first key and no other")
	}
	link.Reset()
	Eventually(t, "what was published meanwhile", Knows(t, s, second))
}

// A server that is there all the time, and a watch that is not: the keys are
// read without being asked to.
func rechecksByItself(t *testing.T, kind Kind) {
	server := kind.Start(t)
	s := kind.Follow(t, Options{Address: server.Address, Recheck: 50 * time.Millisecond})
	kind.Writer(t, server.Address).Publish(1, Key(t))
	must(t, s.Wait(t.Context()))
	for range 3 {
		before := s.Staleness()
		Eventually(t, "it is confirmed", func() bool { return s.Staleness() < before || s.Staleness() < 40*time.Millisecond })
	}
}

func downAtTheStart(t *testing.T, kind Kind) {
	server := kind.Start(t)
	k := Key(t)
	kind.Writer(t, server.Address).Publish(1, k)
	server.Kill()
	s := kind.Follow(t, Options{Address: server.Address, User: "app", Password: "secret"})
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Wait(short); err == nil {
		t.Error("it has keys, but from where?")
	}
	server.Start()
	Eventually(t, "the keys, once the server is there", Knows(t, s, k))
}
