package feed_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/feed"
)

// board is where nodes leave their notes.
type board struct {
	mu     sync.Mutex
	notes  map[string]authority.Note
	writes int
}

func (b *board) PutNote(_ context.Context, n authority.Note) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(n.Body) > authority.MaxNote {
		return errDisk
	}
	b.notes[n.Node] = n
	b.writes++
	return nil
}

func (b *board) DropNote(_ context.Context, _ authority.NoteTopic, node string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.notes, node)
	b.writes++
	return nil
}

func (b *board) Notes(_ context.Context, _ authority.NoteTopic, now time.Time) ([]authority.Note, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var live []authority.Note
	for _, n := range b.notes {
		if n.ExpiresAt.After(now) {
			live = append(live, n)
		}
	}
	return live, nil
}

func (b *board) written() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.writes
	b.writes = 0
	return n
}

// together runs two nodes with a board, inside a bubble of fake time.
func together(t *testing.T, test func(b *board, here, there *feed.Feed, stopThere func(clean bool))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &board{notes: map[string]authority.Note{}}
		node := func(name string) (*feed.Feed, func(bool)) {
			f, err := feed.Open(t.Context(), feed.Config{Log: newLog(), Notes: b, Node: name})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				f.Report(ctx)
				close(done)
			}()
			return f, func(clean bool) {
				b.mu.Lock()
				left := b.notes[name]
				b.mu.Unlock()
				stop()
				<-done
				if !clean { // it had no time to take it away
					_ = b.PutNote(t.Context(), left)
				}
			}
		}
		here, stop := node("here")
		there, stopThere := node("there")
		test(b, here, there, stopThere)
		stop(true)
	})
}

// sum counts followers, with those that are not listed, and those that hold the key.
func sum(t *testing.T, f *feed.Feed, key string) (all, hold, listed int) {
	t.Helper()
	found, err := f.Followers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range found {
		all += 1 + g.Others
		if strings.Contains(" "+strings.Join(g.Keys, " ")+" ", " "+key+" ") {
			hold += 1 + g.Others
		}
	}
	return all, hold, len(found)
}

func TestFollowers_OfAllNodes(t *testing.T) {
	together(t, func(b *board, here, there *feed.Feed, stopThere func(bool)) {
		time.Sleep(time.Minute)
		if n := b.written(); n != 0 {
			t.Errorf("%d writes while nobody follows", n)
		}
		leave := there.Join(feed.Reader{Client: "api", From: "192.0.2.1", Since: time.Now(), Keys: []string{"old"}})
		here.Join(feed.Reader{Client: "api", From: "192.0.2.2", Since: time.Now(), Keys: []string{"new", "old"}})
		time.Sleep(2 * time.Second)
		if all, hold, _ := sum(t, here, "new"); all != 2 || hold != 1 {
			t.Errorf("asked here: %d, of which %d hold the key", all, hold)
		}
		if all, hold, _ := sum(t, there, "new"); all != 2 || hold != 1 {
			t.Errorf("asked there: %d, of which %d hold the key", all, hold)
		}
		b.written()
		time.Sleep(10 * time.Minute)
		if n := b.written(); n > 2*31 {
			t.Errorf("%d writes in ten minutes without news", n)
		}
		if all, _, _ := sum(t, here, ""); all != 2 {
			t.Errorf("after ten minutes: %d", all)
		}
		leave()
		time.Sleep(2 * time.Second)
		if all, _, _ := sum(t, here, ""); all != 1 {
			t.Errorf("after one has left: %d", all)
		}
		there.Join(feed.Reader{Client: "api", Since: time.Now()})
		time.Sleep(2 * time.Second)
		stopThere(false)
		if all, _, _ := sum(t, here, ""); all != 2 {
			t.Errorf("right after a node died: %d", all)
		}
		time.Sleep(time.Minute + time.Second)
		if all, _, _ := sum(t, here, ""); all != 1 {
			t.Errorf("a minute after a node died: %d", all)
		}
	})
}

// However many follow and whatever they say of themselves, a note is bounded and
// leaves nobody out.
func TestFollowers_Bounded(t *testing.T) {
	together(t, func(_ *board, here, there *feed.Feed, stopThere func(bool)) {
		defer stopThere(true)
		for i := range 5000 {
			there.Join(feed.Reader{Client: "fleet", From: "192.0.2.1", Since: time.Now(), Keys: []string{"b", "a"}})
			keys := []string{"a", strings.Repeat("x", 65)}
			for k := range 62 {
				keys = append(keys, fmt.Sprintf("%064d", i*62+k))
			}
			if i < 1000 {
				there.Join(feed.Reader{Client: "odd", From: "192.0.2.1", Since: time.Now(), Keys: keys})
			}
		}
		time.Sleep(3 * time.Second)
		all, hold, listed := sum(t, here, "a")
		if all != 6000 || listed > 2000 {
			t.Errorf("%d followers in %d lines", all, listed)
		}
		if hold < 5000 || hold > 5200 {
			t.Errorf("%d hold the key; beyond the bound they count as if they did not", hold)
		}
	})
}
