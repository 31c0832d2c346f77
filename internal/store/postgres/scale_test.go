package postgres

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/secret"
)

var scale = struct {
	grants, hourly, hours *int
	filled                *string
}{
	flag.Int("grants", 200_000, "live grants of BenchmarkScale"),
	flag.Int("hourly", 600, "grants that BenchmarkScale makes, ends and refreshes in each hour, and half as many tokens beside"),
	flag.Int("hours", 24, "hours that BenchmarkScale simulates"),
	flag.String("filled", "", "`URL` of a database that BenchmarkScale has filled before, with as many -grants and -hourly"),
}

// BenchmarkScale fills a database with live grants and lives through some days
// with it: each hour some grants are refreshed, some tokens are issued, and as many
// grants expire as are made. Upkeep is what a server does, at the simulated time. It
// logs what grows, and then compares the database with an empty one. With
// -grants=10000000 -hours=720 -benchtime=1x -timeout=2h it takes half an hour and 12 GB of disk.
func BenchmarkScale(b *testing.B) {
	server := pgtest.Own(b, "fsync=on", "shared_buffers=4GB", "max_wal_size=2GB", "maintenance_work_mem=512MB", "checkpoint_timeout=15min",
		"autovacuum_naptime=1s") // a simulated day is over in seconds
	full := &lived{B: b, now: time.Now().UTC().Truncate(time.Hour), life: time.Duration(*scale.grants / *scale.hourly) * time.Hour}
	if *scale.filled != "" {
		full.open(*scale.filled)
	} else {
		full.open(server.Database(b))
		full.fill(*scale.grants)
	}
	full.pick(*scale.grants)
	full.say("filled")
	for hour := range *scale.hours {
		full.hour()
		if (hour+1)%max(1, *scale.hours/5) == 0 { // more lines are not shown
			full.say(fmt.Sprintf("after %d h", hour+1))
		}
	}
	empty := &lived{B: b, now: full.now, life: full.life}
	empty.open(server.Database(b))
	empty.fill(2000)
	empty.pick(2000)
	compare(b, full, empty)
}

// lived is a store that time passes for.
type lived struct {
	*testing.B
	store *Store
	mu    sync.Mutex
	now   time.Time            // guarded by mu
	ids   []secret.ID          // grants that are refreshed
	steps map[secret.ID]uint32 // their generations
	life  time.Duration        // of new grants

	partitions, dropped int
	behind              int // the most that upkeep left behind
}

func (l *lived) clock() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

func (l *lived) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *lived) open(url string) {
	s, err := Open(l.Context(), Config{URL: url, Now: l.clock, ServerNow: l.clock})
	l.must(err)
	l.Cleanup(func() { _ = s.Close() })
	l.store, l.steps = s, make(map[secret.ID]uint32)
}

// grant is one as an app's sign-in makes it.
func (l *lived) grant() authority.Grant {
	context := authority.Context{Network: "203.0.113.0/24", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
	return authority.Grant{
		ID: secret.NewID(l.now), Type: "authorization_code", ClientID: fmt.Sprint("app-", rand.N(50)), AccountID: secret.NewID(l.now),
		SessionID: secret.NewID(l.now), Scope: []string{"openid", "profile", "read"}, Audience: []string{"https://api.example.com"},
		AMR: []string{"pwd"}, HasRefresh: true, RefreshKey: refreshKey, First: context, Last: context,
		AuthTime: l.now, CreatedAt: l.now, LastUsed: l.now, IdleUntil: l.now.Add(l.life), ExpiresAt: l.now.Add(l.life),
	}
}

// add stores new grants.
func (l *lived) add(n int) {
	names := strings.FieldsFunc(grantColumns+", made_in, sweep_at", func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
	_, err := l.store.pool.CopyFrom(l.Context(), pgx.Identifier{"grants"}, names, pgx.CopyFromSlice(n, func(int) ([]any, error) {
		g := l.grant()
		return grantRow(g, g.SessionID), nil
	}))
	l.must(err)
}

// refreshKey is the key of all refresh tokens: it changes a few times in a year.
const refreshKey = "AZrQ8m3vd8CPp2vX8q5L6g"

// sqlMultiply makes $1 grants of each there is, which end one after the other
// with $2 ms between them, beginning with $3.
const sqlMultiply = `
INSERT INTO grants (` + grantColumns + `, made_in, sweep_at)
SELECT substring(id FOR 6) || substring(decode(md5(id || n::text::bytea), 'hex') FOR 10), type, client_id,
  substring(account_id FOR 6) || substring(decode(md5(account_id || n::text::bytea), 'hex') FOR 10), session_id, scope, audience, auth_time, acr, amr, nonce,
  has_refresh, generation, salt, refresh_key, policy, rotated_at, steps, replays, replay_generation, stale,
  first_network, first_agent, last_network, last_agent, created_at, last_used, ends, ends, ended_at, end_reason, dpop_jkt,
  end_code, substring(made_in FOR 6) || substring(decode(md5(made_in || n::text::bytea), 'hex') FOR 10), ends + 86400000
FROM (SELECT g.*, n, $3 + ((row_number() OVER () - 1) * $2::float8)::bigint AS ends FROM generate_series(1, $1::bigint) n, grants g) AS many`

// fill makes grants that end one after the other until life is over, without their
// indexes, and then those.
func (l *lived) fill(n int) {
	ctx := l.Context()
	const seeds = 1000
	conn, err := l.store.pool.Acquire(ctx)
	l.must(err)
	defer conn.Release()
	exec := func(text string, args ...any) {
		_, err := conn.Exec(ctx, text, args...)
		l.must(err)
	}
	exec(`SET statement_timeout = 0`)
	l.add(seeds)
	exec(`CREATE TEMPORARY TABLE dropped AS SELECT indexdef FROM pg_indexes WHERE tablename = 'grants' AND indexname <> 'grants_pkey'`)
	exec(`DO $$ DECLARE i text; BEGIN FOR i IN SELECT indexname FROM pg_indexes WHERE tablename = 'grants' AND indexname <> 'grants_pkey'
	      LOOP EXECUTE 'DROP INDEX ' || i; END LOOP; END $$`)
	exec(`ALTER TABLE grants DROP CONSTRAINT grants_pkey`)
	exec(sqlMultiply, n/seeds, float64(l.life.Milliseconds())/float64(n), l.now.UnixMilli())
	exec(`ALTER TABLE grants ADD PRIMARY KEY (id)`)
	exec(`DO $$ DECLARE i text; BEGIN FOR i IN SELECT indexdef FROM dropped LOOP EXECUTE i; END LOOP; END $$`)
	exec(`VACUUM (ANALYZE) grants`)
}

// pick picks grants that are refreshed, at random.
func (l *lived) pick(n int) {
	rows, err := l.store.pool.Query(l.Context(), `SELECT id FROM grants TABLESAMPLE BERNOULLI($1) WHERE expires_at > $2`,
		min(100, 100*200_000/float64(n)), l.now.Add(time.Duration(*scale.hours+1)*time.Hour).UnixMilli())
	l.must(err)
	l.ids, err = collect(rows, scanID)
	l.must(err)
	if len(l.ids) == 0 {
		l.Fatal("all grants would be over before the end: more -grants, or fewer -hourly")
	}
	rand.Shuffle(len(l.ids), func(i, j int) { l.ids[i], l.ids[j] = l.ids[j], l.ids[i] })
}
