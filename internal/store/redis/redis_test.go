package redis_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/redistest"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/redis"
	"github.com/jetonhq/jeton/internal/store/sqlite"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 30 s: " + what)
		}
	}
}

// standing opens the grant of a program.
func standing(t testing.TB, s authority.Store, client string) authority.Grant {
	t.Helper()
	now := time.Now()
	g, err := s.OpenStanding(t.Context(), authority.Grant{
		ID: secret.NewID(now), Type: "client_credentials", ClientID: client, RotatedAt: now, CreatedAt: now, LastUsed: now,
		IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
	}, authority.Event{ID: secret.NewID(now), Type: authority.EventGrantCreated, Actor: authority.System})
	must(t, err)
	return g
}

func newToken(g authority.Grant, life time.Duration) authority.Token {
	id := secret.NewID(time.Now())
	return authority.Token{ID: id, GrantID: g.ID, Digest: secret.ShortDigest(id.String()), ExpiresAt: time.Now().Add(life)}
}

func issue(t testing.TB, s authority.Store, g authority.Grant) (authority.Token, error) {
	v := newToken(g, time.Minute)
	return v, s.Issue(t.Context(), authority.Issue{Token: v, Now: time.Now()})
}

// registered asks about tokens.
func registered(t testing.TB, s authority.Store, tokens ...authority.Token) map[secret.ID]authority.TokenState {
	t.Helper()
	ids := make([]secret.ID, len(tokens))
	for i, v := range tokens {
		ids[i] = v.ID
	}
	states, err := s.Tokens(t.Context(), ids)
	must(t, err)
	return states
}

func revocation(r authority.Revocation) authority.Revocation {
	r.Now = time.Now()
	r.Until, r.Reason = r.Now.Add(time.Hour), "test"
	r.Event = authority.Event{ID: secret.NewID(r.Now), Type: authority.EventTokenRevoked, Actor: authority.System}
	return r
}

// TestRows: a row is in Redis alone, goes by itself after the token has expired,
// and a counted token has none there.
func TestRows(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redis.Config{URL: server.URL(), Prefix: "rows:", Afterlife: 50 * time.Millisecond})
	g := standing(t, s, "robot")
	v, err := issue(t, s, g)
	must(t, err)
	key := "rows:{" + v.ID.String() + "}"
	ttl := server.Do("PTTL", key)
	if n, err := ttl.AsInt64(); err != nil || n < 55_000 || n > 60_050 {
		t.Errorf("the row of a token that lives a minute goes after %d ms, %v", n, err)
	}
	if found, err := s.Records.Tokens(t.Context(), []secret.ID{v.ID}); err != nil || len(found) != 0 {
		t.Errorf("the records have a row as well: %v, %v", found, err)
	}
	short := newToken(g, 50*time.Millisecond)
	must(t, s.Issue(t.Context(), authority.Issue{Token: short, Now: time.Now()}))
	eventually(t, "the row goes by itself", func() bool { return len(registered(t, s, short)) == 0 })

	counted := newToken(g, time.Minute)
	uses := int64(1)
	counted.Uses = &uses
	must(t, s.Issue(t.Context(), authority.Issue{Token: counted, Now: time.Now()}))
	exists := server.Do("EXISTS", "rows:{"+counted.ID.String()+"}")
	if n, _ := exists.AsInt64(); n != 0 {
		t.Error("a counted token has its row in Redis")
	}
	if got := registered(t, s, v, counted); len(got) != 2 {
		t.Errorf("got %d of 2 tokens", len(got))
	}

	// A token of before Redis is known from the records.
	older := newToken(g, time.Minute)
	must(t, s.Records.Issue(t.Context(), authority.Issue{Token: older, Now: time.Now()}))
	if len(registered(t, s, older)) != 1 {
		t.Error("a token that the records have registered is unknown")
	}
	entries, err := s.Revoke(t.Context(), revocation(authority.Revocation{Token: &authority.Token{ID: older.ID}}))
	if must(t, err); len(entries) != 1 || len(registered(t, s, older)) != 0 {
		t.Errorf("it was revoked with %d entries in the log, and still there: %v", len(entries), registered(t, s, older))
	}
}

// TestRevoked: the log decides. A row that comes back, as it would after a failover,
// brings nothing back.
func TestRevoked(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redis.Config{URL: server.URL(), Prefix: "r:"})
	g := standing(t, s, "robot")
	v, err := issue(t, s, g)
	must(t, err)
	key := "r:{" + v.ID.String() + "}"
	row := server.Text("DUMP", key)
	if _, err := s.Revoke(t.Context(), revocation(authority.Revocation{Token: &v})); err != nil {
		t.Fatal(err)
	}
	server.Do("RESTORE", key, "60000", row, "REPLACE")
	if got := registered(t, s, v); len(got) != 0 {
		t.Errorf("a revoked token is back with its row: %+v", got)
	}
	// A refused issue leaves nothing behind.
	if _, err := s.Revoke(t.Context(), revocation(authority.Revocation{Grant: g.ID})); err != nil {
		t.Fatal(err)
	}
	before := server.Do("DBSIZE")
	late, err := issue(t, s, g)
	if !errors.Is(err, authority.ErrEnded) {
		t.Errorf("issue under an ended grant: %v", err)
	}
	if after := server.Do("DBSIZE"); after.String() != before.String() {
		t.Errorf("the row of a token that was refused, %v, is still there", late.ID)
	}
}

// TestEvicting: a server that would drop rows to make room is not used.
func TestEvicting(t *testing.T) {
	server := redistest.Start(t, "maxmemory 100mb", "maxmemory-policy allkeys-lru")
	records, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	must(t, err)
	defer func() { _ = records.Close() }()
	if _, err := redis.Open(t.Context(), redis.Config{URL: server.URL()}, records); !errors.Is(err, redis.ErrEvicts) {
		t.Errorf("got %v, want ErrEvicts", err)
	}
	server.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	s, err := redis.Open(t.Context(), redis.Config{URL: server.URL()}, records)
	must(t, err)
	// A full server refuses, and so do we.
	g := standing(t, s, "robot")
	server.Do("CONFIG", "SET", "maxmemory", "1")
	if _, err := issue(t, s, g); !errors.Is(err, authority.ErrBusy) {
		t.Errorf("issue at a full server: %v, want ErrBusy", err)
	}
	servers, err := s.Servers(t.Context())
	if must(t, err); len(servers) != 1 || servers[0].Policy != "noeviction" || servers[0].AOF || servers[0].Fsync == "" {
		t.Errorf("got %+v", servers)
	}
}

// TestCredentials: a password, an ACL user who may ask for no settings, and URLs.
func TestCredentials(t *testing.T) {
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "jeton", "on", ">s3cret/@:", "~own:*", "+@all", "-config", "-@dangerous", "+info", "+role")
	at := strings.TrimPrefix(server.URL(), "redis://")
	s := open(t, redis.Config{URL: "redis://jeton@" + at, Password: secret.New("s3cret/@:"), Prefix: "own:"})
	must(t, s.Ready(t.Context(), time.Now()))
	must(t, s.CreateTicket(t.Context(), ticket("a", time.Time{}), time.Now()))
	open(t, redis.Config{URL: "redis://jeton:s3cret%2F%40%3A@" + at + "/0", Prefix: "own:"})

	records, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	must(t, err)
	defer func() { _ = records.Close() }()
	for what, url := range map[string]string{
		"wrong password": "redis://jeton:hunter2@" + at, "another scheme": "http://" + at, "no host": "redis://", "no number": "redis://" + at + "/db",
		"a parameter": "redis://hunter2@" + at + "?skip_verify=1", "two hosts, one empty": "redis://" + at + ",", "ca without TLS": "redis://" + at + "?ca=x",
		"no such ca": "rediss://" + at + "?ca=/nonexistent", "no TLS there": "rediss://" + at, "nobody there": "redis://127.0.0.1:1",
	} {
		if _, err := redis.Open(t.Context(), redis.Config{URL: url}, records); err == nil {
			t.Errorf("%s: opened", what)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows a secret: %v", what, err)
		}
	}
}

func ticket(key string, since time.Time) authority.Ticket {
	return authority.Ticket{Kind: authority.TicketProof, Key: key, ExpiresAt: time.Now().Add(time.Minute), Since: since}
}

// TestLoss: after any loss, a ticket that may have been made before is not made
// again, and one that cannot have been is.
func TestLoss(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redis.Config{URL: server.URL(), Prefix: "loss:"})
	create := func(key string, since time.Time) error {
		return s.CreateTicket(t.Context(), ticket(key, since), time.Now())
	}
	want := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) || want == nil && got != nil {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	reconnect := func() {
		eventually(t, "Redis answers", func() bool { return s.Ready(t.Context(), time.Now()) == nil })
	}
	for what, lose := range map[string]func(){
		"flushed":   func() { server.Do("FLUSHALL") },
		"restarted": func() { server.Kill(); must(t, server.Resume()); reconnect() },
		"restarted with old data": func() {
			server.Do("SAVE")
			must(t, create("after the copy", time.Now()))
			server.Kill()
			must(t, server.Resume())
			reconnect()
		},
	} {
		since := time.Now()
		must(t, create(what, since))
		want(what+": the same, before", create(what, since), authority.ErrConflict)
		time.Sleep(2 * time.Millisecond) // marks are in milliseconds
		lost := time.Now()
		lose()
		want(what+": the same, after", create(what, since), authority.ErrBusy)
		want(what+": another of before", create("other "+what, since), authority.ErrBusy)
		before, err := s.LostBefore(t.Context(), time.Now())
		if must(t, err); before.Before(lost.Truncate(time.Millisecond)) {
			t.Errorf("%s: rows made since %v are said to be there; the loss was after %v", what, before, lost)
		}
		time.Sleep(2 * time.Millisecond)
		want(what+": one of after", create("new "+what, time.Now()), nil)
	}
}

// TestReplicas: a ticket that not enough replicas have does not count as made.
func TestReplicas(t *testing.T) {
	primary := redistest.Start(t, "repl-diskless-sync-delay 0")
	host, port, _ := strings.Cut(primary.Address, ":")
	s := open(t, redis.Config{URL: primary.URL(), Replicas: 1})
	if err := s.CreateTicket(t.Context(), ticket("alone", time.Time{}), time.Now()); !errors.Is(err, authority.ErrBusy) {
		t.Errorf("without a replica: %v, want ErrBusy", err)
	}
	redistest.Start(t, "replicaof "+host+" "+port)
	eventually(t, "the replica follows, as the primary sees it", func() bool {
		return strings.Contains(primary.Text("INFO", "replication"), "state=online")
	})
	if err := s.CreateTicket(t.Context(), ticket("a", time.Time{}), time.Now()); err != nil {
		t.Errorf("with a replica: %v", err)
	}
	if err := s.CreateTicket(t.Context(), ticket("a", time.Time{}), time.Now()); !errors.Is(err, authority.ErrConflict) {
		t.Errorf("again: %v, want ErrConflict", err)
	}
}
