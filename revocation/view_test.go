package revocation

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// clock is a settable Now.
type clock struct{ t atomic.Pointer[time.Time] }

func newClock(sec int64) *clock {
	c := &clock{}
	c.set(time.Unix(sec, 0))
	return c
}

func (c *clock) set(t time.Time)       { c.t.Store(&t) }
func (c *clock) now() time.Time        { return *c.t.Load() }
func (c *clock) add(d time.Duration)   { c.set(c.now().Add(d)) }
func token(seq uint64, id ID) Entry    { return Entry{Seq: seq, Kind: Token, ID: id} }
func must(t failer, err error)         { t.Helper(); wantErr(t, err, nil) }
func revokedToken(v *View, id ID) bool { return v.Revoked(id, ID{}, ID{}).Hit() }

// failer is *testing.T or *rapid.T.
type failer interface {
	Helper()
	Fatalf(string, ...any)
}

func ready(cfg ViewConfig) *View {
	v := NewView(cfg)
	if err := v.ApplySnapshot("life1", 0, nil); err != nil {
		panic(err)
	}
	return v
}

func wantErr(t failer, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error: got %v, want %v", got, want)
	}
}

func TestView_RevokedByEachKind(t *testing.T) {
	v := ready(ViewConfig{})
	must(t, v.ApplyDelta("life1", []Entry{
		{Seq: 1, Kind: Token, ID: number(1), Reason: "logout"},
		{Seq: 2, Kind: Grant, ID: number(2), Reason: "admin"},
		{Seq: 3, Kind: Session, ID: number(3)},
		{Seq: 4, Kind: Key, Name: "kid4"},
	}))
	other := number(9)
	for _, test := range []struct {
		name          string
		jti, gid, sid ID
		want          Verdict
	}{
		{"none", other, other, other, Verdict{}},
		{"token", number(1), other, other, Verdict{Token, "logout"}},
		{"grant", other, number(2), other, Verdict{Grant, "admin"}},
		{"session", other, other, number(3), Verdict{Session, ""}},
		{"most specific first", number(1), number(2), number(3), Verdict{Token, "logout"}},
		{"no session", other, number(2), ID{}, Verdict{Grant, "admin"}},
		{"all zero", ID{}, ID{}, ID{}, Verdict{}},
		{"an id counts for its own kind only", number(2), number(3), number(1), Verdict{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := v.Revoked(test.jti, test.gid, test.sid); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	if !v.KeyRevoked("kid4") || v.KeyRevoked("kid5") || v.KeyRevoked("") {
		t.Error("KeyRevoked is wrong")
	}
	if got, want := v.Len(), 4; got != want {
		t.Errorf("Len: got %d, want %d", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { v.Revoked(other, other, number(3)); v.StaleAt(v.born, time.Second) }); n != 0 {
		t.Errorf("allocations: got %v, want 0", n)
	}
}

func TestView_ApplyDeltaNeverSkipsANumber(t *testing.T) {
	v := NewView(ViewConfig{})
	wantErr(t, v.ApplyDelta("life1", []Entry{token(1, number(1))}), ErrIncarnation)
	must(t, v.ApplySnapshot("life1", 4, nil))
	at := func(want uint64) {
		t.Helper()
		if got := v.Cursor(); got != (Cursor{"life1", want}) {
			t.Fatalf("place: got %v, want %d", got, want)
		}
	}
	must(t, v.ApplyDelta("life1", []Entry{token(3, number(3)), token(4, number(4)), token(5, number(5))}))
	at(5)
	wantErr(t, v.ApplyDelta("life1", []Entry{token(7, number(7))}), ErrGap)
	at(5)
	if !revokedToken(v, number(7)) {
		t.Error("a revocation beyond the gap was set aside")
	}
	wantErr(t, v.ApplyDelta("life1", []Entry{token(6, number(6)), token(8, number(8)), token(7, number(7))}), ErrGap)
	at(6)
	must(t, v.ApplyDelta("life1", []Entry{token(7, number(7)), token(8, number(8)), token(8, number(8))}))
	at(8)
	wantErr(t, v.ApplyDelta("life2", []Entry{token(9, number(9))}), ErrIncarnation)
	wantErr(t, v.ApplyDelta("life2", []Entry{token(9, number(9))}), ErrGap)
	at(8)
	must(t, v.ApplySnapshot("life1", 7, nil))
	at(8)
	must(t, v.ApplySnapshot("life2", 2, nil))
	if got, want := v.Cursor(), (Cursor{"life2", 2}); got != want {
		t.Errorf("place: got %v, want %v", got, want)
	}
	wantErr(t, v.ApplySnapshot("bad name", 2, nil), ErrMalformed)
	for i := 3; i <= 9; i++ {
		if !revokedToken(v, number(i)) {
			t.Errorf("id %d is alive after the snapshot of another life", i)
		}
	}
}

func TestView_HooksInOrderAndOnce(t *testing.T) {
	var got []uint64
	var whole [][]Entry
	v := NewView(ViewConfig{
		OnEntry:    func(e Entry) { got = append(got, e.Seq) },
		OnSnapshot: func(e []Entry) { whole = append(whole, e) },
	})
	var subscribed []uint64
	v.Subscribe(func(e Entry) {
		v.Epoch() // a hook may read the view
		v.Seq()
		subscribed = append(subscribed, e.Seq)
	})
	log := sampleLog(16, 0)
	must(t, v.ApplySnapshot("life1", 8, log[:8]))
	must(t, v.ApplyDelta("life1", log[4:10]))
	must(t, v.ApplyDelta("life1", log[8:14]))
	wantErr(t, v.ApplyDelta("life1", log[15:]), ErrGap)
	if diff := cmp.Diff([]uint64{13, 14}, got); diff != "" {
		t.Errorf("OnEntry (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint64{5, 6, 7, 8, 13, 14}, subscribed); diff != "" {
		t.Errorf("Subscribe (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]Entry{log[4:8]}, whole); diff != "" {
		t.Errorf("OnSnapshot (-want +got):\n%s", diff)
	}
}

func TestView_Freshness(t *testing.T) {
	c := newClock(1_000_000)
	v := NewView(ViewConfig{Now: c.now})
	if v.Ready() || !v.Stale(time.Hour) {
		t.Error("an empty view is trusted")
	}
	must(t, v.ApplySnapshot("life1", 5, nil))
	c.add(10 * time.Second)
	check := func(want time.Duration) {
		t.Helper()
		if got := v.Lag(); got != want {
			t.Errorf("Lag: got %v, want %v", got, want)
		}
	}
	check(10 * time.Second)
	// The authority's clock says nothing about freshness.
	must(t, v.Heartbeat("life1", 5, c.now().Add(-time.Hour), c.now()))
	check(0)
	c.add(2 * time.Second)
	if v.Stale(2*time.Second) || !v.Stale(2*time.Second-1) {
		t.Error("the bound is not max")
	}
	wantErr(t, v.Heartbeat("life1", 6, c.now(), c.now()), ErrGap)
	check(2 * time.Second)
	wantErr(t, v.Heartbeat("life2", 5, c.now(), c.now()), ErrIncarnation)
	check(2 * time.Second)
	must(t, v.Heartbeat("life1", 4, c.now(), c.now())) // a node that lags
	check(2 * time.Second)
	v.Touch(c.now().Add(-time.Second))
	check(time.Second)
	v.Touch(c.now().Add(-5 * time.Second))
	check(time.Second)
	must(t, v.ApplyDelta("life1", []Entry{token(6, number(6))}))
	check(time.Second) // an entry proves that this much was known, not that it is all
}

func TestView_ExpiryWaitsForBothClocksAndTheMargin(t *testing.T) {
	c := newClock(1_000_000)
	v := ready(ViewConfig{Now: c.now, Margin: 30 * time.Second})
	must(t, v.ApplyDelta("life1", []Entry{
		{Seq: 1, Kind: Token, ID: number(1), Until: 1_000_100},
		{Seq: 2, Kind: Token, ID: number(2), Until: 0},
		{Seq: 3, Kind: Key, Name: "k", Until: 1_000_100},
		{Seq: 4, Kind: Token, ID: number(4), Until: 1 << 40}, // beyond 32 bits: for ever
		{Seq: 5, Kind: Token, ID: number(1), Until: 1_000_050},
	}))
	expire := func(local, want int) {
		t.Helper()
		c.set(time.Unix(1_000_000+int64(local), 0))
		if got := v.Expire(c.now()); got != want {
			t.Errorf("local %+d s: forgotten %d, want %d", local, got, want)
		}
	}
	expire(130, 0)
	must(t, v.Heartbeat("life1", 5, time.Unix(1_000_010, 0), c.now()))
	expire(5000, 0) // the local clock runs ahead
	must(t, v.Heartbeat("life1", 5, time.Unix(1_005_000, 0), c.now()))
	expire(100, 0) // the authority's does
	if !revokedToken(v, number(1)) || !v.KeyRevoked("k") {
		t.Error("forgotten before its time")
	}
	expire(131, 2)
	if revokedToken(v, number(1)) || v.KeyRevoked("k") {
		t.Error("still there")
	}
	if !revokedToken(v, number(2)) || !revokedToken(v, number(4)) {
		t.Error("an entry without end was forgotten")
	}
}

func TestView_ExpiresByItselfInSlices(t *testing.T) {
	c := newClock(1_000_000)
	v := ready(ViewConfig{Now: c.now})
	log := make([]Entry, 20_000)
	for i := range log {
		log[i] = Entry{Seq: uint64(i + 1), Kind: Token, ID: number(i), Until: 1_000_010}
	}
	must(t, v.ApplyDelta("life1", log))
	full := v.MemoryBytes()
	c.add(DefaultMargin + 11*time.Second)
	for before, beats := v.Len(), 0; v.Len() > 0; beats++ {
		if beats > 100 {
			t.Fatalf("%d entries left after %d heartbeats", v.Len(), beats)
		}
		must(t, v.Heartbeat("life1", 20_000, c.now(), c.now()))
		if removed, most := before-v.Len(), 20_000/shardCount*sweepMost*2; removed > most {
			t.Fatalf("one slice removed %d entries, want at most %d", removed, most)
		}
		before = v.Len()
		c.add(500 * time.Millisecond)
	}
	if got := v.MemoryBytes(); got > full/2 {
		t.Errorf("memory after expiry: %d of %d bytes", got, full)
	}
}

// TestView_Model holds the view against a map, over random operations.
func TestView_Model(t *testing.T) {
	type key struct {
		kind Kind
		id   ID
	}
	rapid.Check(t, func(t *rapid.T) {
		c := newClock(1_000_000)
		margin := 30 * time.Second
		v := NewView(ViewConfig{Now: c.now, Margin: margin})
		model := map[key]int64{} // until
		place := Cursor{}
		epoch := v.Epoch()
		entries := func(t *rapid.T, first, n uint64) []Entry {
			list := make([]Entry, n)
			for i := range list {
				list[i] = Entry{
					Seq:   first + uint64(i),
					Kind:  rapid.SampledFrom([]Kind{Token, Grant, Session, Policy}).Draw(t, "kind"),
					ID:    number(rapid.IntRange(1, 40).Draw(t, "id")),
					Until: c.now().Unix() + rapid.Int64Range(0, 200).Draw(t, "until"),
				}
			}
			return list
		}
		known := func(list []Entry) {
			for _, e := range list {
				if k := (key{e.Kind, e.ID}); e.Kind != Policy {
					if old, ok := model[k]; !ok || e.Until > old {
						model[k] = e.Until
					}
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"delta": func(t *rapid.T) {
				back := rapid.Uint64Range(0, min(3, place.Seq)).Draw(t, "back")
				list := entries(t, place.Seq-back+1, rapid.Uint64Range(0, 5).Draw(t, "n"))
				err := v.ApplyDelta(place.Incarnation, list)
				known(list)
				if place.Incarnation == "" {
					wantErr(t, err, ErrIncarnation)
					return
				}
				must(t, err)
				if n := len(list); n > 0 {
					place.Seq = max(place.Seq, list[n-1].Seq)
				}
			},
			"gap": func(t *rapid.T) {
				list := entries(t, place.Seq+rapid.Uint64Range(2, 5).Draw(t, "ahead"), 2)
				wantErr(t, v.ApplyDelta(place.Incarnation, list), ErrGap)
				known(list)
			},
			"snapshot": func(t *rapid.T) {
				seq := rapid.Uint64Range(0, place.Seq+5).Draw(t, "seq")
				life := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "life")
				list := entries(t, 1, min(seq, 6))
				must(t, v.ApplySnapshot(life, seq, list))
				known(list)
				if life != place.Incarnation || seq > place.Seq {
					place = Cursor{life, seq}
				}
			},
			"heartbeat": func(t *rapid.T) {
				if place.Incarnation != "" {
					must(t, v.Heartbeat(place.Incarnation, place.Seq, c.now(), c.now()))
				}
			},
			"time": func(t *rapid.T) { c.add(time.Duration(rapid.IntRange(1, 100).Draw(t, "s")) * time.Second) },
			"expire": func(t *rapid.T) {
				if place.Incarnation != "" {
					must(t, v.Heartbeat(place.Incarnation, place.Seq, c.now(), c.now()))
				}
				v.Expire(c.now())
				for k, until := range model {
					if until+int64(margin/time.Second) < c.now().Unix() {
						delete(model, k)
					}
				}
				if v.Len() != len(model) {
					t.Fatalf("Len: got %d, want %d", v.Len(), len(model))
				}
			},
			"": func(t *rapid.T) {
				if got := v.Cursor(); got != place {
					t.Fatalf("place: got %v, want %v", got, place)
				}
				if v.Epoch() < epoch {
					t.Fatal("the epoch fell")
				}
				epoch = v.Epoch()
				for _, kind := range []Kind{Token, Grant, Session} {
					for i := 1; i <= 40; i++ {
						until, revoked := model[key{kind, number(i)}]
						ids := [3]ID{}
						ids[kind-Token] = number(i)
						hit := v.Revoked(ids[0], ids[1], ids[2]).Hit()
						if hit && !revoked {
							t.Fatalf("%v %d is alive and refused", kind, i)
						}
						if !hit && revoked && until+int64(margin/time.Second) >= c.now().Unix() {
							t.Fatalf("%v %d is dead and accepted", kind, i)
						}
					}
				}
			},
		})
	})
}

// TestView_SnapshotOpensNoHole: readers look while snapshots come, of the same and of new lives of the log.
func TestView_SnapshotOpensNoHole(t *testing.T) {
	v := NewView(ViewConfig{})
	log := make([]Entry, 2000)
	for i := range log {
		log[i] = token(uint64(i+1), number(i))
	}
	must(t, v.ApplySnapshot("life", 2000, log))
	var done atomic.Bool
	var looked atomic.Int64
	var readers sync.WaitGroup
	for r := range 4 {
		readers.Go(func() {
			for i := r; !done.Load(); i++ {
				if !revokedToken(v, number(i%2000)) {
					t.Errorf("id %d was seen alive", i%2000)
					return
				}
				looked.Add(1)
			}
		})
	}
	for i := 0; i < 50 || looked.Load() < 10_000 && !t.Failed(); i++ {
		must(t, v.ApplySnapshot(fmt.Sprintf("life%d", i%3), 2000, log))
	}
	done.Store(true)
	readers.Wait()
}

// TestView_EpochProtocol: a reader that keeps its answer while the epoch stands never accepts an id after
// ApplyDelta has returned.
func TestView_EpochProtocol(t *testing.T) {
	v := ready(ViewConfig{})
	const n = 3000
	var revoked atomic.Int64 // ids 1 to this are dead
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := int64(1); i <= n; i++ {
				id := number(int(i))
				for dead := false; !dead; {
					epoch := v.Epoch()
					if revokedToken(v, id) {
						break
					}
					for range 20 { // the answer is kept
						dead = revoked.Load() >= i
						if stands := v.Epoch() == epoch; !stands {
							dead = false
							break
						}
						if dead {
							t.Errorf("id %d was accepted after its revocation", i)
							return
						}
					}
					runtime.Gosched()
				}
			}
		})
	}
	for i := int64(1); i <= n; i++ {
		must(t, v.ApplyDelta("life1", []Entry{token(uint64(i), number(int(i)))}))
		revoked.Store(i)
		if i%16 == 0 {
			runtime.Gosched()
		}
	}
	readers.Wait()
}

func TestView_EpochRisesWithEachChange(t *testing.T) {
	v := ready(ViewConfig{})
	step := func(name string, want bool, refusal error, do func() error) {
		t.Helper()
		before := v.Epoch()
		wantErr(t, do(), refusal)
		if got := v.Epoch() > before; got != want {
			t.Errorf("%s: epoch rose %v, want %v", name, got, want)
		}
	}
	delta := func(e Entry) func() error {
		return func() error { return v.ApplyDelta("life1", []Entry{e}) }
	}
	step("add", true, nil, delta(token(1, number(1))))
	step("duplicate", false, nil, delta(token(1, number(1))))
	step("key", true, nil, delta(Entry{Seq: 2, Kind: Key, Name: "k"}))
	step("policy", true, nil, delta(Entry{Seq: 3, Kind: Policy, Name: "p"}))
	step("gap", true, ErrGap, delta(token(9, number(9))))
	step("snapshot", true, nil, func() error { return v.ApplySnapshot("life1", 4, nil) })
	step("heartbeat", false, nil, func() error { return v.Heartbeat("life1", 4, time.Time{}, time.Now()) })
	step("part of a snapshot that is never completed", true, nil, func() error { v.addPart([]Entry{token(5, number(5))}); return nil })
}

func TestView_ReasonsAreBounded(t *testing.T) {
	v := ready(ViewConfig{})
	for i := 1; i <= maxReasons+50; i++ {
		must(t, v.ApplyDelta("life1", []Entry{{Seq: uint64(i), Kind: Token, ID: number(i), Reason: fmt.Sprint("r", i)}}))
	}
	if got, want := v.Revoked(number(7), ID{}, ID{}), (Verdict{Token, "r7"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := v.Revoked(number(maxReasons+50), ID{}, ID{}), (Verdict{Token, ""}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestView_MemoryPerEntry: hundreds of thousands of entries, and again after three generations have come and gone.
func TestView_MemoryPerEntry(t *testing.T) {
	heap := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	for _, n := range []int{300_000, 500_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			before := heap()
			c := newClock(1_000_000)
			v := ready(ViewConfig{Now: c.now})
			seq := uint64(0)
			fill := func() {
				for range n / 100 {
					var batch [100]Entry
					for i := range batch {
						seq++
						batch[i] = Entry{Seq: seq, Kind: Token, ID: number(int(seq)), Reason: "logout", Until: c.now().Unix() + 300}
					}
					must(t, v.ApplyDelta("life1", batch[:]))
				}
			}
			check := func(name string) {
				used := heap() - before
				per := float64(used) / float64(v.Len())
				t.Logf("%s: %d entries, %.1f bytes each, estimate %.1f", name, v.Len(), per, float64(v.MemoryBytes())/float64(v.Len()))
				if per > 80 {
					t.Errorf("%s: %.1f bytes per entry, want at most 80", name, per)
				}
				if est := v.MemoryBytes(); est < used*6/10 || est > used*17/10 {
					t.Errorf("%s: estimate %d, measured %d", name, est, used)
				}
			}
			fill()
			check("filled")
			for range 3 {
				c.add(400 * time.Second)
				v.Expire(c.now())
				fill()
			}
			check("after three generations")
			runtime.KeepAlive(v)
		})
	}
}

// TestView_VisibleBeforeTheEpochRises looks from inside a change, between its two halves.
func TestView_VisibleBeforeTheEpochRises(t *testing.T) {
	var v *View
	var before uint64
	looked := false
	v = NewView(ViewConfig{OnEntry: func(Entry) {
		looked = true
		if !revokedToken(v, number(1)) {
			t.Error("the id is not visible yet")
		}
		if v.Epoch() != before {
			t.Error("the epoch rose before the change was whole")
		}
	}})
	must(t, v.ApplySnapshot("life1", 0, nil))
	before = v.Epoch()
	must(t, v.ApplyDelta("life1", []Entry{{Seq: 1, Kind: KeyRing}, token(2, number(1))}))
	if !looked || v.Epoch() == before {
		t.Error("the hook was not called, or the epoch did not rise")
	}
}
