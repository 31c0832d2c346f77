package notify_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/notify"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
)

// Everything here runs in a bubble of synctest, in which days pass at once.

// channel sends every event of a session to a target named after its reason.
type channel struct {
	name   string
	secret bool
	send   func(ctx context.Context, d authority.Delivery) error

	mu   sync.Mutex
	sent []attempt // guarded by mu
}

type attempt struct {
	target string
	event  secret.ID
	body   string
	at     time.Time
}

func (c *channel) Name() string { return c.name }

func (c *channel) Plan(_ context.Context, e authority.Event) ([]notify.Message, error) {
	if e.Type != authority.EventSignedIn {
		return nil, nil
	}
	return []notify.Message{{Target: e.Reason, Body: []byte("about " + e.Reason), Secret: c.secret}}, nil
}

func (c *channel) Send(ctx context.Context, d authority.Delivery) error {
	c.mu.Lock()
	c.sent = append(c.sent, attempt{d.Target, d.EventID, string(d.Body), time.Now()})
	c.mu.Unlock()
	if c.send == nil {
		return nil
	}
	return c.send(ctx, d)
}

func (c *channel) attempts(target string) []attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []attempt
	for _, a := range c.sent {
		if a.target == target {
			found = append(found, a)
		}
	}
	return found
}

// bubble is a store with a channel.
type bubble struct {
	*testing.T
	store   *sqlite.Store
	sealer  *secret.Sealer
	channel *channel
	path    string
}

func inBubble(t *testing.T, run func(b *bubble)) {
	path := filepath.Join(t.TempDir(), "jeton.db")
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{T: t, channel: &channel{name: "test"}, path: path}
		var err error
		if b.sealer, err = secret.NewSealer(secret.Bytes(32)); err != nil {
			t.Fatal(err)
		}
		b.open()
		defer func() { b.must(b.store.Close()) }()
		run(b)
	})
}

func (b *bubble) open() {
	b.Helper()
	store, err := sqlite.Open(b.Context(), sqlite.Config{Path: b.path})
	b.must(err)
	b.store = store
}

func (b *bubble) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// start runs a service until stop is called.
func (b *bubble) start(edit ...func(*notify.Config)) (s *notify.Service, stop func()) {
	b.Helper()
	cfg := notify.Config{Store: b.store, Sealer: b.sealer, Channels: []notify.Channel{b.channel}, Poll: time.Minute}
	for _, f := range edit {
		f(&cfg)
	}
	s, err := notify.New(cfg)
	b.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	return s, func() {
		cancel()
		<-done
	}
}

func (b *bubble) raise(target string) authority.Event {
	b.Helper()
	e := authority.Event{ID: secret.NewID(time.Now()), Type: authority.EventSignedIn, Actor: authority.System, Reason: target}
	b.must(b.store.AppendEvent(b.Context(), e))
	return e
}

func (b *bubble) deliveries(state authority.DeliveryState) []authority.Delivery {
	b.Helper()
	ds, err := b.store.Deliveries(b.Context(), authority.DeliveryFilter{State: state}, authority.Page{Limit: 1000})
	b.must(err)
	return ds
}

func TestRun_SendsEachOnce(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.raise("before") // while nothing runs
		_, stop := b.start()
		defer stop()
		var want []secret.ID
		for range 100 {
			want = append(want, b.raise("a").ID)
		}
		time.Sleep(10 * time.Second)
		var got []secret.ID
		for _, a := range b.channel.attempts("a") {
			got = append(got, a.event)
		}
		slices.SortFunc(got, secret.ID.Compare)
		slices.SortFunc(want, secret.ID.Compare)
		if !slices.Equal(got, want) || len(b.channel.attempts("before")) != 1 {
			t.Errorf("%d attempts, want %d; %d before", len(got), len(want), len(b.channel.attempts("before")))
		}
		if n := len(b.deliveries(authority.DeliveryDelivered)); n != 101 {
			t.Errorf("%d are delivered", n)
		}
	})
}

// The pauses between attempts grow from 5 s to 6 h, and end after three days
// with an event.
func TestRun_BacksOffAndGivesUp(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.channel.send = func(context.Context, authority.Delivery) error { return errors.New("refused") }
		var outcomes []notify.Outcome
		_, stop := b.start(func(c *notify.Config) {
			c.Observe = func(_ string, o notify.Outcome) { outcomes = append(outcomes, o) }
		})
		began := time.Now()
		b.raise("a")
		time.Sleep(80 * time.Hour)
		stop()
		attempts := b.channel.attempts("a")
		if n := len(attempts); n < 15 || n > 25 {
			t.Fatalf("%d attempts", n)
		}
		want := 5 * time.Second
		for i := 1; i < len(attempts); i++ {
			pause := attempts[i].at.Sub(attempts[i-1].at)
			// A quarter of jitter, and what the lane's own rest and looking for work may add.
			if low, high := want*3/4, want*5/4+7*time.Minute; pause < low || pause > high {
				t.Errorf("pause %d is %v, want about %v", i, pause, want)
			}
			want = min(3*want, 6*time.Hour)
		}
		if last := attempts[len(attempts)-1].at.Sub(began); last < 60*time.Hour || last > 72*time.Hour {
			t.Errorf("the last attempt came after %v", last)
		}
		failed := b.deliveries(authority.DeliveryFailed)
		if len(failed) != 1 || failed[0].LastError != "refused" || failed[0].Attempts != len(attempts) {
			t.Fatalf("failed: %+v", failed)
		}
		events, err := b.store.Events(b.Context(), authority.EventFilter{Type: authority.EventDeliveryFailed}, authority.Page{})
		b.must(err)
		if len(events) != 1 || events[0].Data["target"] != "a" || events[0].Data["delivery"] != failed[0].ID.String() {
			t.Errorf("events: %+v", events)
		}
		if n := len(outcomes); outcomes[n-1] != notify.Failed || outcomes[n-2] != notify.Retried || n != len(attempts) {
			t.Errorf("outcomes: %v", outcomes)
		}
	})
}

func TestRun_Permanent(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.channel.send = func(context.Context, authority.Delivery) error {
			return notify.Permanent(errors.New("no such address"))
		}
		_, stop := b.start()
		defer stop()
		b.raise("a")
		time.Sleep(time.Minute)
		if failed := b.deliveries(authority.DeliveryFailed); len(failed) != 1 || failed[0].Attempts != 1 {
			t.Errorf("failed: %+v", failed)
		}
	})
}

// A receiver may ask for a longer pause, up to the longest there is.
func TestRun_RetryAfter(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.channel.send = func(_ context.Context, d authority.Delivery) error {
			switch d.Attempts {
			case 1:
				return notify.RetryAfter(errors.New("busy"), time.Hour)
			case 2:
				return notify.RetryAfter(errors.New("busy"), 1000*time.Hour)
			}
			return nil
		}
		_, stop := b.start()
		defer stop()
		b.raise("a")
		time.Sleep(8 * time.Hour)
		attempts := b.channel.attempts("a")
		if len(attempts) != 3 {
			t.Fatalf("%d attempts", len(attempts))
		}
		for i, want := range []time.Duration{time.Hour, 6 * time.Hour} {
			if got := attempts[i+1].at.Sub(attempts[i].at); got < want || got > want+2*time.Second {
				t.Errorf("pause %d is %v, want %v", i+1, got, want)
			}
		}
	})
}

// What a dead lane does costs the others nothing: it is tried by few at a time,
// then left alone, and everything goes out soon after it is back.
func TestRun_DeadLane(t *testing.T) {
	inBubble(t, func(b *bubble) {
		var mu sync.Mutex
		dead, under, most := true, 0, 0
		b.channel.send = func(ctx context.Context, d authority.Delivery) error {
			mu.Lock()
			broken := dead && d.Target == "dead"
			if broken {
				under++
				most = max(most, under)
			}
			mu.Unlock()
			if !broken {
				return nil
			}
			<-ctx.Done()
			mu.Lock()
			under--
			mu.Unlock()
			return ctx.Err()
		}
		_, stop := b.start()
		defer stop()
		for range 300 {
			b.raise("dead")
		}
		for i := range 60 {
			b.raise(fmt.Sprint("live ", i%3))
			time.Sleep(time.Second)
			sent := 0
			for lane := range 3 {
				sent += len(b.channel.attempts(fmt.Sprint("live ", lane)))
			}
			if sent != i+1 {
				t.Fatalf("after %d s %d of %d live ones are sent", i+1, sent, i+1)
			}
		}
		if most > 8 {
			t.Errorf("%d attempts at a time in the dead lane", most)
		}
		time.Sleep(3 * time.Hour)
		if n := len(b.channel.attempts("dead")); n > 80 {
			t.Errorf("%d attempts for a lane that is dead for hours", n)
		}
		mu.Lock()
		dead = false
		mu.Unlock()
		time.Sleep(30 * time.Minute)
		waiting := b.deliveries(authority.DeliveryPending)
		// The few that were tried often wait for their own next attempt.
		if len(waiting) > 20 {
			t.Errorf("%d still wait half an hour after it is back", len(waiting))
		}
		time.Sleep(7 * time.Hour)
		if waiting := b.deliveries(authority.DeliveryPending); len(waiting) > 0 {
			t.Errorf("%d still wait", len(waiting))
		}
	})
}

// While one node's lease holds, no other sends the same. When it dies, another
// does.
func TestRun_TwoNodes(t *testing.T) {
	inBubble(t, func(b *bubble) {
		other := &channel{name: "test"}
		often := func(c *notify.Config) { c.Poll = 50 * time.Millisecond }
		_, stopOne := b.start(often)
		_, stopTwo := b.start(often, func(c *notify.Config) { c.Channels = []notify.Channel{other} })
		for i := range 200 {
			b.raise(fmt.Sprint("lane ", i%5))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		stopOne()
		stopTwo()
		seen := map[secret.ID]int{}
		for i := range 5 {
			for _, a := range append(b.channel.attempts(fmt.Sprint("lane ", i)), other.attempts(fmt.Sprint("lane ", i))...) {
				seen[a.event]++
			}
		}
		if len(seen) != 200 {
			t.Errorf("%d events were sent, want 200", len(seen))
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s was sent %d times", id, n)
			}
		}
	})
}

// A claim whose holder is gone, as after a kill, is due again when its lease ends.
func TestRun_ClaimOfTheDead(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.raise("a")
		none := errors.New("the disk is full")
		_, stop := b.start(func(c *notify.Config) { c.Store = unfinished{b.store, none} })
		time.Sleep(time.Second)
		stop() // it has sent, and could not say so
		if n := len(b.channel.attempts("a")); n != 1 {
			t.Fatalf("%d attempts", n)
		}
		_, stop = b.start()
		defer stop()
		time.Sleep(25 * time.Second)
		if n := len(b.channel.attempts("a")); n != 1 {
			t.Fatalf("%d attempts while the lease holds", n)
		}
		time.Sleep(10 * time.Second)
		if n := len(b.channel.attempts("a")); n != 2 {
			t.Errorf("%d attempts after it ended, want 2", n)
		}
		if ds := b.deliveries(authority.DeliveryDelivered); len(ds) != 1 || ds[0].Attempts != 2 {
			t.Errorf("delivered: %+v", ds)
		}
	})
}

// unfinished is a store that cannot write how attempts ended.
type unfinished struct {
	*sqlite.Store
	err error
}

func (u unfinished) FinishDelivery(context.Context, authority.Attempt, *authority.Event) error {
	return u.err
}

// A stop gives attempts under way a moment, and then gives them back.
func TestRun_StopGivesBack(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.channel.send = func(ctx context.Context, d authority.Delivery) error {
			if d.Target == "quick" {
				time.Sleep(time.Second)
				return ctx.Err()
			}
			<-ctx.Done()
			return ctx.Err()
		}
		_, stop := b.start()
		b.raise("quick")
		b.raise("slow")
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the stop took %v", took)
		}
		pending := b.deliveries(authority.DeliveryPending)
		if len(pending) != 1 || pending[0].Target != "slow" || !pending[0].Claim.IsZero() || pending[0].NextAt.After(time.Now()) {
			t.Errorf("pending: %+v", pending)
		}
	})
}

// A plan that cannot be made now stops everything, and nothing is lost.
func TestRun_PlanFails(t *testing.T) {
	inBubble(t, func(b *bubble) {
		broken := &blind{channel: channel{name: "blind"}, until: time.Now().Add(time.Minute)}
		_, stop := b.start(func(c *notify.Config) { c.Channels = append(c.Channels, broken) })
		defer stop()
		for range 10 {
			b.raise("a")
		}
		time.Sleep(50 * time.Second)
		if n := len(b.channel.attempts("a")); n > 0 {
			t.Errorf("%d were planned for one channel alone", n)
		}
		time.Sleep(20 * time.Second)
		if n, m := len(b.channel.attempts("a")), len(broken.attempts("a")); n != 10 || m != 10 {
			t.Errorf("%d and %d attempts, want 10 each", n, m)
		}
	})
}

// blind cannot see its database for a while.
type blind struct {
	channel
	until time.Time
}

func (c *blind) Plan(ctx context.Context, e authority.Event) ([]notify.Message, error) {
	if time.Now().Before(c.until) {
		return nil, errors.New("no connection")
	}
	return c.channel.Plan(ctx, e)
}

// A body that is secret rests sealed, and not at all once it was sent.
func TestRun_SecretBody(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.channel.secret = true
		fail := true
		b.channel.send = func(context.Context, authority.Delivery) error {
			if fail {
				return errors.New("not now")
			}
			return nil
		}
		_, stop := b.start()
		defer stop()
		b.raise("a")
		time.Sleep(time.Second)
		if ds := b.deliveries(authority.DeliveryPending); len(ds) != 1 || len(ds[0].Body) != 0 || len(ds[0].Sealed) == 0 {
			t.Errorf("pending: %+v", ds)
		}
		fail = false
		time.Sleep(time.Minute)
		if ds := b.deliveries(authority.DeliveryDelivered); len(ds) != 1 || len(ds[0].Body) != 0 || len(ds[0].Sealed) != 0 {
			t.Errorf("delivered: %+v", ds)
		}
		if got := b.channel.attempts("a")[0].body; got != "about a" {
			t.Errorf("sent %q", got)
		}
	})
}

// Events that concern nobody cost a write now and then, not one each.
func TestRun_QuietEventsAreCheap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jeton.db")
	synctest.Test(t, func(t *testing.T) {
		var ops atomic.Int64
		store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, OnCommit: func(n int, _ time.Duration) { ops.Add(int64(n)) }})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		sealer, err := secret.NewSealer(secret.Bytes(32))
		if err != nil {
			t.Fatal(err)
		}
		b := &bubble{T: t, store: store, sealer: sealer, channel: &channel{name: "test"}}
		_, stop := b.start()
		const events = 3000
		for range events {
			e := authority.Event{ID: secret.NewID(time.Now()), Type: authority.EventGrantCreated, Actor: authority.System}
			b.must(store.AppendEvent(t.Context(), e))
		}
		time.Sleep(3 * time.Minute)
		stop()
		if extra := ops.Load() - events; extra > 10 {
			t.Errorf("%d writes besides those of the events", extra)
		}
		cursor, err := store.OutboxCursor(t.Context())
		b.must(err)
		if left, err := store.EventLog(t.Context(), cursor, 1); err != nil || len(left) > 0 {
			t.Errorf("minutes later the cursor is behind: %v, %v", left, err)
		}
	})
}
