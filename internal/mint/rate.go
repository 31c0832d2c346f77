package mint

import (
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

// rates counts what each client has minted. It holds a few words for each
// client with a policy, and is each node's own.
type rates struct {
	mu       sync.Mutex
	byClient map[string]bucket // guarded by mu
}

// bucket is refilled all the time, and holds what a minute brings.
type bucket struct {
	left float64
	at   time.Time
}

func rate(p authority.MintPolicy) int {
	if p.Rate == 0 {
		return defaultRate
	}
	return p.Rate
}

// take answers how many of n tokens the client may have now.
func (r *rates) take(client string, perMinute, n int, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byClient == nil {
		r.byClient = make(map[string]bucket)
	}
	full := float64(perMinute)
	b, known := r.byClient[client]
	if !known {
		b = bucket{left: full, at: now}
	}
	b.left = min(full, b.left+now.Sub(b.at).Minutes()*full)
	b.at = now
	got := min(n, int(b.left))
	b.left -= float64(got)
	r.byClient[client] = b
	return got
}
