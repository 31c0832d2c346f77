package faults_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/jetonhq/jeton/internal/pgtest"
)

// TestSideBySide runs an earlier version and this one on one PostgreSQL: the
// earlier one makes the schema and serves, this one migrates it meanwhile, and then
// both serve, also after the earlier one was restarted. Where a migration says that
// the earlier one does not work with it, that one must refuse to start.
//
// scripts/side-by-side builds the earlier version.
func TestSideBySide(t *testing.T) {
	earlier := os.Getenv("JETON_TEST_EARLIER_BINARY")
	if earlier == "" {
		t.Skip("scripts/side-by-side builds an earlier version")
	}
	database := pgtest.Database(t)
	a := plan{stores: []string{database, database}, first: earlier}.start(t)
	old, today := a.nodes[0], a.nodes[1]
	if !worksWith(t, database, newest(t, old)) {
		old.kill()
		old.start()
		<-old.ended
		if said := old.told(); !strings.Contains(said, "newer than this program") {
			t.Errorf("on a schema that it does not work with, the earlier version ends with:\n%s", said)
		}
		t.Log("a migration says that the earlier version does not work with it, and it refuses to start")
		return
	}
	a.wantOne(old, today)
	a.wantOne(today, old)
	old.stop()
	old.start()
	old.wantReady()
	a.wantOne(old, today)
	a.wantOne(today, old)
}

// newest is the last migration that a node's program has.
func newest(t *testing.T, n *node) int64 {
	t.Helper()
	status := exec.CommandContext(t.Context(), n.binary, "migrate", "status", "--json", "--config", n.config)
	status.Env = append(os.Environ(), "JETON_STORE_URL="+pgtest.Database(t)) // where nothing was applied
	out, err := status.Output()
	must(t, err)
	var list []struct {
		Version int64 `json:"version"`
	}
	must(t, json.Unmarshal(out, &list))
	return list[len(list)-1].Version
}

// worksWith reports whether all that was applied after a version says that a program
// of that version works with it.
func worksWith(t *testing.T, database string, version int64) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var against int
	must(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM goose_db_version g
		WHERE g.version_id > $1 AND NOT EXISTS (SELECT 1 FROM compatible c WHERE c.version = g.version_id AND c.since <= $1)`, version).Scan(&against))
	return against == 0
}

// wantOne wants two nodes to be one authority: what one begins the other goes on with.
func (a *authority) wantOne(one, other *node) {
	a.t.Helper()
	ctx := a.t.Context()
	b := a.signIn(one)
	code, err := b.code(ctx, other)
	must(a.t, err)
	first, err := a.redeem(ctx, one, code)
	must(a.t, err)
	second, err := a.refresh(ctx, other, first.refresh)
	must(a.t, err)
	for token, at := range map[string]*node{first.access: other, second.access: one} {
		if active, err := a.active(ctx, at, token); err != nil || !active {
			a.t.Errorf("a token of the other node is not active: %v", err)
		}
	}
	must(a.t, a.revoke(ctx, other, "web", second.refresh))
	eventually(a.t, "the other node knows of a revocation", func() bool {
		active, err := a.active(ctx, one, second.access)
		return err == nil && !active
	})
	if _, err := a.refresh(ctx, one, second.refresh); err == nil {
		a.t.Error("a grant that ended at one node is refreshed at the other")
	}
}
