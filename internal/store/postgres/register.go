package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

// registration is a token that is to be registered under a live grant, with what
// its making changes in the grant.
type registration struct {
	token      authority.Token
	grant      secret.ID
	generation *uint32 // that the grant must have
	now        int64
	rotation   *authority.Rotation   // or
	touch      *authority.GrantTouch // or neither
}

const (
	// Rows are locked in one order, so that two batches that share grants wait for
	// each other and never both. The refusals are decided below, on the locked rows.
	sqlLockGrants = `SELECT id FROM grants WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`

	// Registers tokens whose grant is live and of the wanted generation (-1: any).
	// No lock is needed: a grant that ends meanwhile takes its tokens along.
	sqlRegister = `
INSERT INTO tokens (jti, digest, gid, exp, uses)
SELECT r.jti, r.digest, g.id, r.exp, r.uses
FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
  AS r (jti, digest, gid, exp, uses, now, generation)
JOIN grants g ON g.id = r.gid
WHERE g.ended_at IS NULL AND g.expires_at > r.now AND g.idle_until > r.now AND (r.generation < 0 OR g.generation = r.generation)
ON CONFLICT DO NOTHING
RETURNING jti`

	// In the two below, a token without a digest is one whose row is kept elsewhere.
	//
	// The update locks what it changes, in the order of the arrays, and looks at the
	// conditions again when it had to wait. Of several rotations of one grant in a
	// batch, one happens. An id that is taken fails the batch (see unstorable).
	sqlRotateAll = `
WITH rotated AS (
  UPDATE grants g
  SET generation = g.generation + 1, refresh_key = r.refresh_key, rotated_at = r.now, last_used = r.now, idle_until = r.idle_until,
      last_network = r.network, last_agent = r.agent, steps = r.steps, stale = FALSE, dpop_jkt = r.dpop_jkt
  FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
              $8::text[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[])
    AS r (jti, digest, gid, exp, uses, now, generation, refresh_key, idle_until, network, agent, steps, dpop_jkt)
  WHERE g.id = r.gid AND g.ended_at IS NULL AND g.expires_at > r.now AND g.idle_until > r.now AND g.generation = r.generation
  RETURNING r.jti, r.digest, r.gid, r.exp, r.uses
), registered AS (
  INSERT INTO tokens (jti, digest, gid, exp, uses)
  SELECT jti, digest, gid, exp, uses FROM rotated WHERE digest IS NOT NULL
)
SELECT jti FROM rotated`

	// As sqlRegister, and what each changes in its grant.
	sqlTouchAll = `
WITH wanted AS (
  SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                       $8::bigint[], $9::text[], $10::text[], $11::bigint[], $12::bigint[])
    AS r (jti, digest, gid, exp, uses, now, generation, idle_until, network, agent, replays, replay_generation)
), registered AS (
  INSERT INTO tokens (jti, digest, gid, exp, uses)
  SELECT r.jti, r.digest, g.id, r.exp, r.uses FROM wanted r JOIN grants g ON g.id = r.gid
  WHERE g.ended_at IS NULL AND g.expires_at > r.now AND g.idle_until > r.now AND (r.generation < 0 OR g.generation = r.generation)
    AND r.digest IS NOT NULL
  ON CONFLICT DO NOTHING
  RETURNING jti
), admitted AS (
  SELECT jti FROM registered
  UNION ALL
  SELECT r.jti FROM wanted r JOIN grants g ON g.id = r.gid
  WHERE g.ended_at IS NULL AND g.expires_at > r.now AND g.idle_until > r.now AND (r.generation < 0 OR g.generation = r.generation)
    AND r.digest IS NULL
), touched AS (
  UPDATE grants g
  SET last_used = r.now, idle_until = r.idle_until, last_network = r.network, last_agent = r.agent,
      replays = r.replays, replay_generation = r.replay_generation
  FROM wanted r JOIN admitted USING (jti)
  WHERE g.id = r.gid
)
SELECT jti FROM admitted`

	sqlGenerations = `
SELECT r.n, g.generation FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS r (n, gid, now)
JOIN grants g ON g.id = r.gid
WHERE g.ended_at IS NULL AND g.expires_at > r.now AND g.idle_until > r.now`
)

// registered is one array for each column of a batch.
type registered struct {
	jti, digest, gid           [][]byte
	exp, now, generation       []int64
	uses                       []*int64
	key, network, agent, steps []string
	jkt                        []string
	idle, replays, replayed    []int64
}

func (c *registered) add(r registration) {
	c.jti = append(c.jti, r.token.ID[:])
	var digest []byte // NULL: the row is kept elsewhere
	if !r.token.Elsewhere {
		digest = r.token.Digest[:]
	}
	c.digest = append(c.digest, digest)
	c.gid = append(c.gid, r.grant[:])
	c.exp = append(c.exp, columns.Millis(r.token.ExpiresAt))
	c.now = append(c.now, r.now)
	c.uses = append(c.uses, r.token.Uses)
	generation := int64(-1)
	if r.generation != nil {
		generation = int64(*r.generation)
	}
	c.generation = append(c.generation, generation)
	switch {
	case r.rotation != nil:
		c.key = append(c.key, r.rotation.RefreshKey)
		c.idle = append(c.idle, columns.Millis(r.rotation.IdleUntil))
		c.network = append(c.network, r.rotation.Last.Network)
		c.agent = append(c.agent, r.rotation.Last.UserAgent)
		c.steps = append(c.steps, columns.TimesText(r.rotation.Steps))
		c.jkt = append(c.jkt, r.rotation.KeyThumbprint)
	case r.touch != nil:
		c.idle = append(c.idle, columns.Millis(r.touch.IdleUntil))
		c.network = append(c.network, r.touch.Last.Network)
		c.agent = append(c.agent, r.touch.Last.UserAgent)
		c.replays = append(c.replays, int64(r.touch.Replays))
		c.replayed = append(c.replayed, int64(r.touch.ReplayGeneration))
	}
}

// register writes a batch of registrations in one round trip and one commit, and
// finds out why some were refused.
func (s *Store) register(ctx context.Context, conn *pgxpool.Conn, batch []registration) ([]error, error) {
	var plain, rotations, touches registered
	var locks [][]byte
	for _, r := range byGrant(batch) {
		switch {
		case r.rotation != nil:
			rotations.add(r)
		case r.touch != nil:
			touches.add(r)
		default:
			plain.add(r)
			continue
		}
		locks = append(locks, r.grant[:])
	}
	done := make(map[secret.ID]bool, len(batch))
	collectIDs := func(rows pgx.Rows) error {
		ids, err := collect(rows, scanID)
		for _, id := range ids {
			done[id] = true
		}
		return err
	}
	// A batch without a transaction of its own is one: it commits as a whole.
	var b pgx.Batch
	if len(touches.jti) > 0 {
		b.Queue(sqlLockGrants, locks) // of the rotations too: one order for all
	}
	if c := rotations; len(c.jti) > 0 {
		b.Queue(sqlRotateAll, c.jti, c.digest, c.gid, c.exp, c.uses, c.now, c.generation, c.key, c.idle, c.network, c.agent, c.steps, c.jkt).Query(collectIDs)
	}
	if c := plain; len(c.jti) > 0 {
		b.Queue(sqlRegister, c.jti, c.digest, c.gid, c.exp, c.uses, c.now, c.generation).Query(collectIDs)
	}
	if c := touches; len(c.jti) > 0 {
		b.Queue(sqlTouchAll, c.jti, c.digest, c.gid, c.exp, c.uses, c.now, c.generation, c.idle, c.network, c.agent, c.replays, c.replayed).Query(collectIDs)
	}
	if err := conn.SendBatch(ctx, &b).Close(); err != nil {
		return nil, err
	}
	return s.refused(ctx, conn, batch, done)
}

// byGrant is the batch in the order in which the rows of its grants are locked.
func byGrant(batch []registration) []registration {
	sorted := slices.Clone(batch)
	slices.SortStableFunc(sorted, func(a, b registration) int { return a.grant.Compare(b.grant) })
	return sorted
}

// refused says why registrations did not happen.
func (s *Store) refused(ctx context.Context, conn *pgxpool.Conn, batch []registration, done map[secret.ID]bool) ([]error, error) {
	outcomes := make([]error, len(batch))
	var index, now []int64
	var gid [][]byte
	for i, r := range batch {
		if done[r.token.ID] {
			delete(done, r.token.ID) // of two calls with one id, one was it
			continue
		}
		outcomes[i] = authority.ErrEnded
		index, now, gid = append(index, int64(i)), append(now, r.now), append(gid, r.grant[:])
	}
	if len(index) == 0 {
		return outcomes, nil
	}
	rows, err := conn.Query(ctx, sqlGenerations, index, gid, now)
	if err != nil {
		return nil, err
	}
	var n, generation int64
	_, err = pgx.ForEachRow(rows, []any{&n, &generation}, func() error {
		outcomes[n] = fmt.Errorf("token id: %w", authority.ErrConflict)
		if want := batch[n].generation; want != nil && int64(*want) != generation {
			outcomes[n] = fmt.Errorf("generation: %w", authority.ErrConflict)
		}
		return nil
	})
	return outcomes, err
}
