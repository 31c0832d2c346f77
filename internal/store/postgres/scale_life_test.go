package postgres

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// callers is how many wait for an answer at a time.
const callers = 64

// hour lives through one.
func (l *lived) hour() {
	l.mu.Lock()
	l.now = l.now.Add(time.Hour)
	l.mu.Unlock()
	l.add(*scale.hourly)
	l.refresh(*scale.hourly, 0)
	l.issue(*scale.hourly/2, 0)
	there := l.hoursOfTokens()
	l.must(l.store.partition(l.Context(), l.now))
	after := l.hoursOfTokens()
	l.partitions = len(after)
	for hour := range there {
		if !after[hour] {
			l.dropped++
		}
	}
	const ( // as package upkeep does it
		rows   = 2000
		slices = 50
	)
	for range slices {
		swept, err := l.store.Sweep(l.Context(), l.now, 0, rows)
		l.must(err)
		if !swept.More {
			break
		}
	}
	due, err := l.store.Backlog(l.Context(), l.now, 0, 10_000)
	l.must(err)
	for _, d := range due {
		l.behind = max(l.behind, d.Rows)
	}
}

func (l *lived) hoursOfTokens() map[time.Time]bool {
	conn, err := l.store.pool.Acquire(l.Context())
	l.must(err)
	defer conn.Release()
	hours, err := partitionsOf(l.Context(), conn, "tokens")
	l.must(err)
	there := make(map[time.Time]bool)
	for _, hour := range hours {
		there[hour] = true
	}
	return there
}

// refresh refreshes grants in turn, which are in no order, n of them or for a time.
func (l *lived) refresh(n int, during time.Duration) (done int) {
	first := rand.N(len(l.ids))
	generations := make([]uint32, len(l.ids))
	if n == 0 {
		n = len(l.ids)
	}
	n = min(n, len(l.ids))
	for i := range n {
		generations[i] = l.steps[l.ids[(first+i)%len(l.ids)]]
	}
	done = l.many(n, during, func(i int) error {
		id := l.ids[(first+i)%len(l.ids)]
		return l.store.Rotate(l.Context(), authority.Rotation{
			Grant: id, From: generations[i], RefreshKey: refreshKey, Token: l.token(id), Now: l.now, IdleUntil: l.now.Add(l.life),
			Last: authority.Context{Network: "203.0.113.0/24", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		})
	})
	for i := range done {
		l.steps[l.ids[(first+i)%len(l.ids)]]++
	}
	return done
}

// issue issues tokens of any grants.
func (l *lived) issue(n int, during time.Duration) (done int) {
	return l.many(n, during, func(int) error {
		id := l.ids[rand.N(len(l.ids))]
		return l.store.Issue(l.Context(), authority.Issue{Token: l.token(id), Now: l.now})
	})
}

func (l *lived) token(grant secret.ID) authority.Token {
	id := secret.NewID(l.now)
	return authority.Token{ID: id, GrantID: grant, Digest: secret.ShortDigest(id.String()), ExpiresAt: l.now.Add(5 * time.Minute)}
}

// many makes calls 0, 1, ... n-1 (0: without end), or those that a time is enough for.
func (l *lived) many(n int, during time.Duration, call func(i int) error) int {
	var next atomic.Int64
	var work sync.WaitGroup
	began := time.Now()
	for range callers {
		work.Go(func() {
			for during == 0 || time.Since(began) < during {
				i := int(next.Add(1)) - 1
				if n > 0 && i >= n {
					next.Add(-1)
					return
				}
				if err := call(i); err != nil {
					l.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	return int(next.Load())
}

// say logs how large things are.
func (l *lived) say(when string) {
	var grants, indexes, tokens, catalog, live, dead, updates, hot, vacuums int64
	const text = `
SELECT pg_relation_size('grants'), pg_indexes_size('grants'),
  (SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) FROM pg_inherits WHERE inhparent = 'tokens'::regclass)::bigint,
  (SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r')::bigint,
  n_live_tup, n_dead_tup, n_tup_upd, n_tup_hot_upd, autovacuum_count FROM pg_stat_user_tables WHERE relname = 'grants'`
	l.must(l.store.pool.QueryRow(l.Context(), text).Scan(&grants, &indexes, &tokens, &catalog, &live, &dead, &updates, &hot, &vacuums))
	l.Logf("%s: grants %.1f MB and indexes %.1f MB for %d rows, %d dead, %d vacuums; updates %d, HOT %.3f; tokens %.1f MB in %d partitions, %d dropped; catalog %.1f MB; backlog at most %d",
		when, mb(grants), mb(indexes), live, dead, vacuums, updates, float64(hot)/max(1, float64(updates)), mb(tokens), l.partitions, l.dropped, mb(catalog), l.behind)
}

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }

// compare lets two databases take turns.
func compare(b *testing.B, full, empty *lived) {
	const rounds = 6
	for _, kind := range []struct {
		name string
		run  func(l *lived) int
	}{
		{"refresh", func(l *lived) int { return l.refresh(0, turn) }},
		{"issue", func(l *lived) int { return l.issue(0, turn) }},
	} {
		var rate [2]float64
		var wal [2]float64
		for range rounds {
			for i, l := range []*lived{full, empty} {
				from, began := l.written(), time.Now()
				n := kind.run(l)
				rate[i] += float64(n) / time.Since(began).Seconds() / rounds
				wal[i] += float64(l.written()-from) / float64(n) / rounds
			}
		}
		b.Logf("%s: %.0f/s in the full database, %.0f/s in the empty one, ratio %.2f; WAL %.0f and %.0f bytes each", kind.name, rate[0], rate[1], rate[0]/rate[1], wal[0], wal[1])
		b.ReportMetric(rate[0]/rate[1], kind.name+"-ratio")
	}
}

// turn is how long a database has its turn.
const turn = 3 * time.Second

// written is how far the write-ahead log has come.
func (l *lived) written() (bytes int64) {
	l.must(l.store.pool.QueryRow(l.Context(), `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint`).Scan(&bytes))
	return bytes
}
