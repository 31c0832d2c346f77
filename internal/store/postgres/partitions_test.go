package postgres

import (
	"slices"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

// hours are the hours that a table has partitions for.
func hours(t *testing.T, s *Store, table string) []string {
	t.Helper()
	names, err := many(t.Context(), s, "partitions", func(r columns.Row) (string, error) {
		var name string
		err := r.Scan(&name)
		return name, err
	}, sqlPartitions, table)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// standingGrant makes a live grant, under which tokens can be issued.
func standingGrant(t testing.TB, s *Store, now time.Time) secret.ID {
	t.Helper()
	g := authority.Grant{
		ID: secret.NewID(now), Type: standing, ClientID: "machine", CreatedAt: now, LastUsed: now,
		IdleUntil: now.Add(1000 * time.Hour), ExpiresAt: now.Add(1000 * time.Hour),
	}
	if _, err := s.OpenStanding(t.Context(), g, authority.Event{ID: secret.NewID(now), Type: "test", Actor: authority.System}); err != nil {
		t.Fatal(err)
	}
	return g.ID
}

func issueAt(t *testing.T, s *Store, grant secret.ID, now, expires time.Time) authority.Token {
	t.Helper()
	uses := int64(2)
	v := authority.Token{ID: secret.NewID(now), GrantID: grant, ExpiresAt: expires, Uses: &uses}
	if err := s.Issue(t.Context(), authority.Issue{Token: v, Now: now}); err != nil {
		t.Fatal(err)
	}
	return v
}

// in is the table that a token's row lies in.
func in(t *testing.T, s *Store, table string, v authority.Token) string {
	t.Helper()
	name, err := one(t.Context(), s, "place", func(r columns.Row) (string, error) {
		var name string
		err := r.Scan(&name)
		return name, err
	}, `SELECT tableoid::regclass::text FROM `+table+` WHERE jti = $1`, v.ID[:])
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// endOfTime is a database whose clock holds nothing back.
func endOfTime() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }

func TestPartitions(t *testing.T) {
	start := time.Date(2031, 5, 1, 10, 20, 0, 0, time.UTC)
	s := openInner(t, func(c *Config) { c.Now, c.ServerNow = func() time.Time { return start }, endOfTime })
	ctx := t.Context()
	if err := s.partition(ctx, start); err != nil {
		t.Fatal(err)
	}
	first := []string{"tokens_2031050110", "tokens_2031050111", "tokens_2031050112", "tokens_2031050113", "tokens_2031050114"}
	if got := hours(t, s, "tokens"); !slices.Equal(got, first) {
		t.Fatalf("made %v, want %v", got, first)
	}
	grant := standingGrant(t, s, start)
	brief := issueAt(t, s, grant, start, start.Add(time.Hour))
	long := issueAt(t, s, grant, start.Add(time.Hour), start.Add(30*time.Hour))
	outside := issueAt(t, s, grant, start.Add(-100*time.Hour), start.Add(time.Hour))
	for v, want := range map[authority.Token]string{brief: "tokens_2031050110", long: "tokens_2031050111", outside: "tokens_other"} {
		if got := in(t, s, "tokens", v); got != want {
			t.Errorf("a token lies in %s, want %s", got, want)
		}
	}
	use := authority.Use{Token: brief.ID, Request: secret.NewID(start)}
	if outcomes, err := s.Consume(ctx, []authority.Use{use}, start); err != nil || outcomes[0] != nil {
		t.Fatalf("consume: %v, %v", outcomes, err)
	}
	if got := in(t, s, "uses", brief); got != "uses_2031050110" {
		t.Errorf("a use lies in %s", got)
	}

	// Not yet: the hour is over, and its token lives.
	now := start.Add(59 * time.Minute)
	if err := s.partition(ctx, now); err != nil {
		t.Fatal(err)
	}
	if got := hours(t, s, "tokens"); got[0] != first[0] {
		t.Errorf("%s was dropped with a live token in it", first[0])
	}
	// What has expired goes, and what lives stays, with its hour.
	now = start.Add(5 * time.Hour)
	if err := s.partition(ctx, now); err != nil {
		t.Fatal(err)
	}
	want := []string{"tokens_2031050111", "tokens_2031050114", "tokens_2031050115", "tokens_2031050116", "tokens_2031050117", "tokens_2031050118", "tokens_2031050119"}
	if got := hours(t, s, "tokens"); !slices.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
	states, err := s.Tokens(ctx, []secret.ID{brief.ID, long.ID, outside.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, there := states[brief.ID]; there || len(states) != 2 {
		t.Errorf("got %d tokens, want the one that lives and the one outside", len(states))
	}
	if got := hours(t, s, "uses"); slices.Contains(got, "uses_2031050110") || !slices.Contains(got, "uses_2031050111") {
		t.Errorf("uses are in %v", got)
	}
	if _, err := s.Sweep(ctx, now, 0, 100); err != nil {
		t.Fatal(err)
	}
	if states, err = s.Tokens(ctx, []secret.ID{outside.ID}); err != nil || len(states) != 0 {
		t.Errorf("a token outside of the hours was not swept: %v", err)
	}
}

// A change of partitions that would have to wait for a reader gives up soon, and
// is made the next time.
func TestPartitions_DoNotWait(t *testing.T) {
	start := time.Now().UTC()
	s := openInner(t, func(c *Config) { c.Now, c.ServerNow = func() time.Time { return start }, endOfTime })
	ctx := t.Context()
	if err := s.partition(ctx, start); err != nil {
		t.Fatal(err)
	}
	reader, err := s.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback(ctx) }()
	if _, err := reader.Exec(ctx, `SELECT 1 FROM tokens WHERE jti = ''`); err != nil {
		t.Fatal(err)
	}
	later := start.Add(10 * time.Hour)
	if err := s.partition(ctx, later); err == nil {
		t.Fatal("partitions were dropped under a reader")
	}
	if err := reader.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.partition(ctx, later); err != nil {
		t.Fatal(err)
	}
	if got := hours(t, s, "tokens"); len(got) != ahead+1 {
		t.Errorf("left %v", got)
	}
}

// TestPartitions_ClockAhead: a node whose clock is years ahead removes nothing that
// lives by the database's clock, neither hours of the registry nor rows.
func TestPartitions_ClockAhead(t *testing.T) {
	s := openInner(t)
	ctx, now := t.Context(), time.Now()
	if err := s.partition(ctx, now); err != nil {
		t.Fatal(err)
	}
	grant := standingGrant(t, s, now)
	live := issueAt(t, s, grant, now, now.Add(time.Hour))
	early := issueAt(t, s, grant, now.Add(-100*time.Hour), now.Add(time.Hour)) // in no hour of its own
	ticket := authority.Ticket{Kind: authority.TicketProof, Key: "proof", ExpiresAt: now.Add(time.Hour)}
	if err := s.CreateTicket(ctx, ticket, now); err != nil {
		t.Fatal(err)
	}
	before := hours(t, s, "tokens")
	ahead := now.Add(5 * 365 * 24 * time.Hour)
	if err := s.partition(ctx, ahead); err != nil {
		t.Fatal(err)
	}
	for _, hour := range before {
		if !slices.Contains(hours(t, s, "tokens"), hour) {
			t.Errorf("%s was dropped", hour)
		}
	}
	swept, err := s.Sweep(ctx, ahead, time.Hour, 100)
	if err != nil || swept != (authority.Swept{}) {
		t.Errorf("swept %+v, %v", swept, err)
	}
	states, err := s.Tokens(ctx, []secret.ID{live.ID, early.ID})
	if err != nil || len(states) != 2 {
		t.Errorf("of two live tokens %d are left, %v", len(states), err)
	}
	if _, err := s.Grant(ctx, grant); err != nil {
		t.Errorf("a live grant: %v", err)
	}
	if _, err := s.Ticket(ctx, ticket.Kind, ticket.Key, now); err != nil {
		t.Errorf("a live ticket: %v", err)
	}
}
