package seen

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
)

const never = 1 << 40

func put(c *Cache[int], token string, value int) *Entry[int] {
	return c.Put(Item[int]{Token: token, Fill: func(e *Entry[int], _ string) { e.Value = value }, Expires: never}, 0)
}

// nothing leaves the value zero.
func nothing[V any](*Entry[V], string) {}

func TestCache_FindsWholeTokensOnly(t *testing.T) {
	c := New[int](Config{Entries: 1000, Bytes: 1 << 20})
	if c.Get("nothing yet", 0) != nil {
		t.Error("found something in an empty cache")
	}
	token := strings.Repeat("header.payload.signature", 20)
	put(c, token, 7)
	if e := c.Get(token, 0); e == nil || e.Value != 7 || e.Token() != token {
		t.Fatalf("got %v", e)
	}
	for _, other := range []string{"", token[:len(token)-1], token[1:], token + "x", token + token, strings.ToUpper(token)} {
		if c.Get(other, 0) != nil {
			t.Errorf("found %d bytes that were never put", len(other))
		}
	}
}

// Two tokens with the same hash are two tokens.
func TestCache_SameHash(t *testing.T) {
	c := New[int](Config{Entries: 1000, Bytes: 1 << 20})
	h := c.hash("the one asked for")
	forged := &Entry[int]{hash: h, token: "another with its hash", expires: never, Value: 1}
	sh := &c.shards[h>>c.shift]
	sh.put(forged, 0)
	if e := c.Get("the one asked for", 0); e != nil {
		t.Errorf("got %q", e.Token())
	}
	put(c, "the one asked for", 2)
	if e := c.Get("the one asked for", 0); e == nil || e.Value != 2 {
		t.Errorf("got %v", e)
	}
	if got, want := c.Stats().Entries, 2; got != want {
		t.Errorf("%d entries, want %d", got, want)
	}
}

func TestCache_NeverPastExpires(t *testing.T) {
	c := New[int](Config{Entries: 1000, Bytes: 1 << 20})
	e := c.Put(Item[int]{Token: "a", Fill: nothing[int], Expires: 100}, 0)
	if c.Get("a", 99) != e {
		t.Error("gone too early")
	}
	for _, now := range []int64{100, 101, 1 << 50} {
		if c.Get("a", now) != nil {
			t.Errorf("answered at %d", now)
		}
	}
	if e := c.Put(Item[int]{Token: "b", Fill: nothing[int], Expires: 100}, 100); e == nil || c.Get("b", 0) != nil {
		t.Error("remembered what had expired already")
	}
}

func TestCache_PutTakesTheOldPlace(t *testing.T) {
	c := New[int](Config{Entries: 1000, Bytes: 1 << 20})
	old := put(c, "token", 1)
	fresh := put(c, "token", 2)
	c.Drop(old) // is not there any more: must not take the other away
	if got := c.Get("token", 0); got != fresh {
		t.Errorf("got %v", got)
	}
	if got, want := c.Stats().Entries, 1; got != want {
		t.Errorf("%d entries, want %d", got, want)
	}
	c.Drop(fresh)
	if got := c.Stats(); got.Entries != 0 || got.Bytes != 0 || c.Get("token", 0) != nil {
		t.Errorf("after dropping: %+v", got)
	}
}

// Token and tail are copies, of any length.
func TestCache_KeepsCopies(t *testing.T) {
	c := New[string](Config{Entries: 10_000, Bytes: 1 << 30})
	for n := range 1500 {
		token, tail := []byte(strings.Repeat("t", n)), []byte(strings.Repeat("v", n/3))
		item := Item[string]{Token: string(token), Tail: string(tail), Expires: never,
			Fill: func(e *Entry[string], tail string) { e.Value = tail }}
		c.Put(item, 0)
		e := c.Get(string(token), 0)
		if e == nil || e.Token() != string(token) || e.Value != string(tail) || *e.Text() != string(token) {
			t.Fatalf("%d bytes: %+v", n, e)
		}
	}
}

func TestEntry_Marks(t *testing.T) {
	c := New[int](Config{Entries: 10, Bytes: 1 << 20})
	e := c.Put(Item[int]{Token: "token", Fill: nothing[int], Expires: never, Epoch: 5}, 0)
	if e.Epoch() != 5 || e.Asked() != 0 {
		t.Errorf("epoch %d, asked %d", e.Epoch(), e.Asked())
	}
	e.SetEpoch(6)
	e.SetAsked(10)
	e.SetAsked(9)
	if e = c.Get("token", 0); e.Epoch() != 6 || e.Asked() != 10 {
		t.Errorf("epoch %d, asked %d", e.Epoch(), e.Asked())
	}
}

// Up to its limit the cache forgets next to nothing, although it never searches further than two buckets.
func TestCache_HoldsWhatItPromises(t *testing.T) {
	for _, n := range []int{1, 7, 100, 5000, 200_000} {
		// Shards are not filled evenly: the limit is that of the fullest.
		c := New[int](Config{Entries: n + n/4 + 200, Bytes: 1 << 30})
		for i := range n {
			put(c, fmt.Sprint("token ", i), i)
		}
		missing := 0
		for i := range n {
			e := c.Get(fmt.Sprint("token ", i), 0)
			if e == nil {
				missing++
			} else if e.Value != i {
				t.Fatalf("token %d has the value of %d", i, e.Value)
			}
		}
		if missing > n/1000 {
			t.Errorf("%d of %d are missing", missing, n)
		}
	}
}

func TestCache_Bounded(t *testing.T) {
	for _, config := range []Config{{Entries: 1000, Bytes: 1 << 30}, {Entries: 1 << 30, Bytes: 1 << 20}, {Entries: 1, Bytes: 1 << 20}, {Entries: 50, Bytes: 10_000}} {
		c := New[int](config)
		for i := range 50_000 {
			put(c, fmt.Sprint(i, strings.Repeat("x", i%700)), i)
			if i%1000 == 0 {
				s := c.Stats()
				if s.Entries > config.Entries || s.Bytes > config.Bytes {
					t.Fatalf("%+v beyond %+v", s, config)
				}
			}
		}
		s := c.Stats()
		if s.Entries == 0 || s.Evicted == 0 {
			t.Errorf("%+v in %+v", s, config)
		}
		entries, size := 0, int64(0)
		for i := range c.shards {
			for j := range c.shards[i].table.Load().buckets {
				b := &c.shards[i].table.Load().buckets[j]
				for w := range b.ways {
					if e := b.ways[w].Load(); e != nil {
						entries++
						size += int64(e.size)
					}
				}
			}
		}
		if entries != s.Entries || size != s.Bytes {
			t.Errorf("counts %d entries with %d bytes, has %d with %d", s.Entries, s.Bytes, entries, size)
		}
	}
}

func TestCache_TooLargeAToken(t *testing.T) {
	c := New[int](Config{Entries: 10, Bytes: 1000})
	e := put(c, strings.Repeat("x", 2000), 1)
	if e == nil || e.Value != 1 {
		t.Errorf("got %v", e)
	}
	if got := c.Stats(); got.Entries != 0 || got.Bytes != 0 {
		t.Errorf("%+v", got)
	}
}

// A cache that is full keeps those that are asked for.
func TestCache_KeepsTheUsed(t *testing.T) {
	c := New[int](Config{Entries: 2000, Bytes: 1 << 30})
	const used = 200
	for i := range used {
		put(c, fmt.Sprint("used ", i), i)
	}
	for i := range 20_000 {
		put(c, fmt.Sprint("once ", i), i)
		c.Get(fmt.Sprint("used ", i%used), 0)
	}
	kept := 0
	for i := range used {
		if c.Get(fmt.Sprint("used ", i), 0) != nil {
			kept++
		}
	}
	if kept < used*95/100 {
		t.Errorf("kept %d of %d", kept, used)
	}
}

// Expired entries leave as others come, without anybody asking for them.
func TestCache_ExpiredLeave(t *testing.T) {
	c := New[int](Config{Entries: 1 << 20, Bytes: 1 << 30})
	for i := range 10_000 {
		c.Put(Item[int]{Token: fmt.Sprint("old ", i), Fill: nothing[int], Expires: 300}, 0)
	}
	for i := range 10_000 {
		c.Put(Item[int]{Token: fmt.Sprint("new ", i), Fill: nothing[int], Expires: 600}, 300)
	}
	if got, most := c.Stats().Entries, 10_500; got > most {
		t.Errorf("%d entries, want at most %d", got, most)
	}
	if got := c.Stats().Evicted; got != 0 {
		t.Errorf("%d living entries had to go", got)
	}
}

func TestCache_GetAllocatesNothing(t *testing.T) {
	c := New[int](Config{Entries: 1000, Bytes: 1 << 20})
	token := strings.Repeat("x", 600)
	put(c, token, 1)
	if allocs := testing.AllocsPerRun(100, func() { c.Get(token, 0) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// The estimate is near what the heap says.
func TestCache_AccountsForMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := New[[30]int](Config{Entries: 1 << 20, Bytes: 1 << 30})
	for i := range 50_000 {
		c.Put(Item[[30]int]{Token: fmt.Sprintf("%0*d", 600, i), Fill: nothing[[30]int], Expires: never}, 0)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	got, want := c.Stats().Bytes, int64(after.HeapAlloc-before.HeapAlloc)
	if got < want*9/10 || got > want*12/10 {
		t.Errorf("estimates %d bytes, uses %d", got, want)
	}
	runtime.KeepAlive(c)
}

// Readers and writers at the same time: what is found is always the token asked for, with its own value.
func TestCache_Concurrent(t *testing.T) {
	c := New[int](Config{Entries: 3000, Bytes: 1 << 30})
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 30_000 {
				i := rand.IntN(6000)
				token := fmt.Sprint("token ", i)
				switch e := c.Get(token, 0); {
				case e == nil:
					put(c, token, i)
				case e.Value != i || e.Token() != token:
					t.Errorf("asked for %d, got %d", i, e.Value)
				case i%50 == 0:
					c.Drop(e)
				}
			}
		})
	}
	work.Wait()
	if s := c.Stats(); s.Entries > 3000 {
		t.Errorf("%d entries", s.Entries)
	}
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := New[int](Config{Entries: 2 * n, Bytes: 1 << 40})
			tokens := make([]string, n)
			for i := range tokens {
				tokens[i] = fmt.Sprintf("%0*d", 640, i)
				put(c, strings.Clone(tokens[i]), i)
			}
			for b.Loop() {
				if c.Get(tokens[rand.IntN(n)], 0) == nil {
					b.Fatal("missing")
				}
			}
		})
	}
}

func BenchmarkPut(b *testing.B) {
	c := New[int](Config{Entries: 100_000, Bytes: 1 << 40})
	tokens := make([]string, 400_000)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("%0*d", 640, i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		put(c, tokens[i%len(tokens)], i)
	}
}
