package tokens_test

import (
	"context"
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/feed"
	"github.com/jetonhq/jeton/internal/tokens"
)

// waited remembers up to where a revocation waited for the node's view.
type waited struct{ seq uint64 }

func (w *waited) Applied(_ context.Context, seq uint64) error {
	w.seq = max(w.seq, seq)
	return nil
}

// A node that is asked to end what another one has ended a moment ago answers once
// it has heard of that: its answer is as good as the first.
func TestRevoke_EndedByAnotherNode(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	late, err := feed.Open(ctx, feed.Config{Log: w.store, Now: w.clock.Now}) // it is never read from
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"grant", "token"} {
		var log waited
		second, err := tokens.New(tokens.Config{Issuer: issuer, Store: w.store, Keys: w.rings, View: late.View(), Log: &log, Now: w.clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		_, issued := w.signedIn()
		presented := issued.RefreshToken.Reveal()
		if kind == "token" {
			presented = issued.AccessToken.Reveal()
		}
		for _, at := range []*tokens.Service{w.mint, second} {
			if err := at.RevokePresented(ctx, presented, w.client, authority.Context{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, head, err := w.store.Head(ctx); err != nil || head == 0 || log.seq != head {
			t.Errorf("%s: the second node waited for %d of %d, %v", kind, log.seq, head, err)
		}
	}
}
