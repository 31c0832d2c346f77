package server_test

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/installed"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/internal/store/transfer"
	"github.com/jetonhq/jeton/oauth"
)

// moveTo stops the server, copies its store, and goes on with the copy.
func (w *world) moveTo(url string) {
	w.t.Helper()
	w.stop()
	_, err := server.CopyStore(w.t.Context(), w.config, w.config.Store.URL, url, transfer.Options{Retire: true, Now: w.clock.Now})
	must(w.t, err)
	w.config.Store.URL = url
	w.start()
}

// Everything that was handed out on the embedded store works on PostgreSQL, and what was
// dead is dead; and so on the way back.
func TestMove_UpAndDown(t *testing.T) {
	w := newWorld(t, options{runs: true})
	sqlite := w.config.Store.URL
	there, back := pgtest.Database(t), "sqlite:"+filepath.Join(t.TempDir(), "back.db")
	w.minter("robot", authority.MintPolicy{Subjects: authority.MintNone})
	connected := w.fleet(1)[0]

	v := w.visitor()
	v.signIn()
	known := func() bool {
		return !strings.Contains(v.open(http.MethodGet, w.authorize("web"), "").body, `name="password"`)
	}
	if !known() {
		t.Fatal("nobody is signed in")
	}
	p := w.prover()
	for _, next := range []string{there, back} {
		token := w.signedIn("web")
		bound := w.redeemWith("spa", w.code("spa"), p.token()).ok()
		ended := w.signedIn("web")
		dead := w.machine()
		if reason := refusal(t, connected, dead); reason != "" {
			t.Fatalf("refused while it lives: %s", reason)
		}
		w.end(dead)
		w.post("/revoke", "web", "token", ended.text("refresh_token")).ok()
		unused := w.code("web")
		counted := w.post("/token", "robot", "grant_type", "client_credentials", "uses", "2").ok().text("access_token")
		if reason := refusal(t, connected, counted, jeton.Uses()); reason != "" {
			t.Fatalf("the first of two uses: %s", reason)
		}
		was := w.head()

		w.moveTo(next)
		now := w.head()
		if now.Incarnation == was.Incarnation || now.Seq < was.Seq {
			t.Errorf("the log was %v and is %v, want another name and numbers that go on", was, now)
		}
		w.wantAlive("an access token", token.text("access_token"))
		w.wantDead("a revoked token", dead)
		w.refresh("web", ended.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
		again := w.refresh("web", token.text("refresh_token")).ok()
		w.refreshWith("spa", bound.text("refresh_token"), p.token()).ok()
		w.refreshWith("spa", bound.text("refresh_token")).refused(http.StatusBadRequest, "invalid_dpop_proof")
		w.redeem("web", unused).ok()
		w.redeem("web", unused).refused(http.StatusBadRequest, oauth.InvalidGrant)
		if !known() {
			t.Error("the session's cookie is not honoured")
		}

		// The guard that was connected all the time takes a snapshot, and hears again.
		fresh := again.text("access_token")
		eventually(t, "the connected guard follows the copy", 30*time.Second, func() bool { return refusal(t, connected, fresh) == "" })
		if reason := refusal(t, connected, dead); reason != jeton.ReasonRevoked {
			t.Errorf("a token that was revoked before: %q", reason)
		}
		if reason := refusal(t, connected, counted, jeton.Uses()); reason != "" {
			t.Errorf("the second of two uses: %s", reason)
		}
		if reason := refusal(t, connected, counted, jeton.Uses()); reason != jeton.ReasonNoUsesLeft {
			t.Errorf("the third of two uses: %q", reason)
		}
		w.post("/revoke", "web", "token", again.text("refresh_token")).ok()
		eventually(t, "the guard hears of a revocation", 10*time.Second, func() bool { return refusal(t, connected, fresh) != "" })
		// Two grants have ended since: of the code that came twice, and this one.
		if now := w.head(); now.Seq != was.Seq+2 {
			t.Errorf("the log has come to %d, want %d", now.Seq, was.Seq+2)
		}
		w.wantEvents(authority.EventRefreshReused, 0)
		w.wantEvents(authority.EventForgedToken, 0)
	}
	for _, left := range []string{sqlite, there} {
		c := w.config
		c.Store.URL = left
		if _, err := server.Open(context.Background(), c, server.Options{}); !errors.Is(err, transfer.ErrRetired) {
			t.Errorf("a server opens %s: %v", left, err)
		}
	}
}

// pgTool runs a program of PostgreSQL.
func pgTool(t *testing.T, name string, args ...string) {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.Reverse(found)                                                                                                                 // the newest version first
	if out, err := exec.CommandContext(t.Context(), installed.Program(t, append(found, name)...), args...).CombinedOutput(); err != nil { // #nosec G204 -- the test's own
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// An old dump of PostgreSQL that is put to use: as with a restored backup of the
// embedded store, what is newer is refused and nothing is held against anybody.
func TestRenew_OldDump(t *testing.T) {
	before, restored := pgtest.Database(t), pgtest.Database(t)
	w := newWorld(t, onPostgres(before))
	connected := w.fleet(1)[0]
	chain, quiet := w.signedIn("web"), w.signedIn("web")
	known, dead := w.machine(), w.machine()
	w.end(dead)
	dump := filepath.Join(t.TempDir(), "jeton.dump")
	pgTool(t, "pg_dump", "--format=custom", "--file", dump, before)

	first := w.refresh("web", chain.text("refresh_token")).ok()
	second := w.refresh("web", first.text("refresh_token")).ok()
	after, late := w.machine(), w.machine()
	w.end(late)
	for _, token := range []string{known, after} {
		if reason := refusal(t, connected, token); reason != "" {
			t.Fatalf("refused before the restore: %s", reason)
		}
	}
	was := w.head()
	c := w.config
	if _, err := server.RenewStore(t.Context(), c); !errors.Is(err, transfer.ErrInUse) {
		t.Errorf("renewed while a node serves: %v", err)
	}
	w.stop()
	pgTool(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname", restored, dump)
	w.config.Store.URL = restored
	newest, err := server.RenewStore(t.Context(), w.config)
	if err != nil || time.Since(newest) > time.Hour {
		t.Fatalf("renew: %v, %v", newest, err)
	}
	w.start()
	// The old log's numbers are given out again, and mean something else.
	for range 3 {
		w.end(w.machine())
	}
	now := w.head()
	if now.Incarnation == was.Incarnation || now.Seq <= was.Seq {
		t.Fatalf("the log was %v and is %v", was, now)
	}
	eventually(t, "the connected guard refuses what the authority does not know", 30*time.Second, func() bool {
		return refusal(t, connected, after) == jeton.ReasonUnknownToken
	})
	for token, want := range map[string]string{known: "", dead: jeton.ReasonRevoked} {
		if got := refusal(t, connected, token); got != want {
			t.Errorf("a token from before: %q, want %q", got, want)
		}
	}
	w.wantDead("a token from after the dump", after)
	w.refresh("web", second.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.wantEvents(authority.EventRefreshFromFuture, 1)
	w.wantEvents(authority.EventRefreshReused, 0)
	w.refresh("web", quiet.text("refresh_token")).ok()
}

// A file that was left for its copy is a backup: restored elsewhere it serves again.
func TestMove_BackByRestore(t *testing.T) {
	w := newWorld(t, options{})
	w.signedIn("web")
	left := w.file
	w.moveTo("sqlite:" + filepath.Join(t.TempDir(), "copy.db"))
	w.stop()
	c := w.config
	c.Store.URL = "sqlite:" + filepath.Join(t.TempDir(), "again.db")
	_, err := server.Restore(t.Context(), c, left, c.Store.URL)
	must(t, err)
	w.config = c
	w.start()
	w.wantAlive("a token of the restored database", w.machine())
}
