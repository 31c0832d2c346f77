package feed

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Reader is somebody who follows the feed on this node, and what it says of itself.
type Reader struct {
	Client string // id
	From   string // network address
	Since  time.Time
	Keys   []string // ids of the keys it holds, as it said when it connected
}

// readers are those who are connected now.
type readers struct {
	mu   sync.Mutex
	list map[*Reader]struct{} // guarded by mu
}

// Join notes a reader until leave is called.
func (f *Feed) Join(r Reader) (leave func()) {
	f.readers.mu.Lock()
	defer f.readers.mu.Unlock()
	if f.readers.list == nil {
		f.readers.list = make(map[*Reader]struct{})
	}
	f.readers.list[&r] = struct{}{}
	return func() {
		f.readers.mu.Lock()
		defer f.readers.mu.Unlock()
		delete(f.readers.list, &r)
	}
}

// Readers lists who follows the feed on this node, by client, the oldest connection
// first.
func (f *Feed) Readers() []Reader {
	f.readers.mu.Lock()
	defer f.readers.mu.Unlock()
	all := make([]Reader, 0, len(f.readers.list))
	for r := range f.readers.list {
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Reader) int {
		if c := strings.Compare(a.Client, b.Client); c != 0 {
			return c
		}
		return a.Since.Compare(b.Since)
	})
	return all
}
