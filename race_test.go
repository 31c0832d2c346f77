package jeton

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/seen"
	"github.com/jetonhq/jeton/revocation"
)

// A check that looks a token up while its revocation arrives must not keep the answer from before it: once
// the view has a revocation, no check that begins later accepts the token.
func TestCheck_RevocationRacesLookup(t *testing.T) {
	a := newFakeAuthority(t)
	g := a.guard(func(c *Config) { c.MaxStaleness = time.Minute })
	defer func() { _ = g.Close() }()
	for !g.Ready() {
		time.Sleep(time.Millisecond)
	}
	ctx := context.Background()
	incarnation, seq := g.view.Seq()
	apply := func(id revocation.ID) {
		seq++
		err := g.view.ApplyDelta(incarnation, []revocation.Entry{{Seq: seq, Kind: revocation.Token, ID: id, Until: time.Now().Unix() + 600}})
		if err != nil {
			t.Fatal(err)
		}
	}
	// One goroutine checks the token of the round all the time.
	var current atomic.Pointer[string]
	var stop atomic.Bool
	var work sync.WaitGroup
	work.Go(func() {
		for !stop.Load() {
			if token := current.Load(); token != nil {
				_, _ = g.Check(ctx, *token, SkipRegistry())
			}
		}
	})
	defer work.Wait()
	defer stop.Store(true)
	for round := range 20_000 {
		token := fmt.Sprint("a token that was verified in round ", round)
		var id, other revocation.ID
		_, _ = rand.Read(id[:])
		_, _ = rand.Read(other[:])
		g.seen.Put(seen.Item[record]{
			Token: token, Expires: time.Now().Unix() + 600, Epoch: ^uint64(0),
			Fill: func(e *seen.Entry[record], _ string) {
				e.Value.jti, e.Value.expiresAt = id, time.Now().Unix()+600
			},
		}, time.Now().Unix())
		current.Store(&token)
		for range round % 100 { // meets the other goroutine at another place each time
			stop.Load()
		}
		apply(other) // makes the other goroutine look
		apply(id)
		for range 3 {
			if got, want := check(t, g, token, SkipRegistry()), ReasonRevoked; got != want {
				t.Fatalf("round %d: %q, want %q", round, got, want)
			}
		}
	}
}
