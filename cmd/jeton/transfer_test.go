package main

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/store/transfer"
)

// registered makes an embedded database with so many tokens in the registry.
func registered(t testing.TB, path string, n int) {
	t.Helper()
	s, err := sqlite.OpenTarget(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	var tokens transfer.Table
	for _, of := range transfer.Tables {
		if of.Name == "tokens" {
			tokens = of
		}
	}
	now := time.Now()
	for done := 0; done < n; {
		var rows []transfer.Row
		for ; done < n && len(rows) < 10_000; done++ {
			id, gid, digest := secret.NewID(now.Add(time.Duration(done)*time.Millisecond)), secret.NewID(now), make([]byte, 16)
			_, _ = rand.Read(digest)
			rows = append(rows, transfer.Row{id[:], digest, gid[:], now.Add(time.Hour).UnixMilli(), nil})
		}
		if err := s.Write(context.Background(), tokens, rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// kill -9 in the middle of a copy: no server opens what there is of it, and the same
// command goes on and ends with the whole.
func TestStoreCopy_Killed(t *testing.T) {
	db := pgtest.Own(t)
	url := db.URL("postgres")
	binary, path := build(t), filepath.Join(t.TempDir(), "jeton.db")
	const n = 150_000
	registered(t, path, n)
	environ := []string{"JETON_ISSUER=http://127.0.0.1:" + strings.Split(freeAddress(t), ":")[1], "JETON_SEALING_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
		"JETON_LISTEN_ADDRESS=" + freeAddress(t), "JETON_MANAGE_ADDRESS=" + freeAddress(t), "JETON_STORE_URL=sqlite:" + path}
	served := append([]string{}, environ...)
	served[len(served)-1] = "JETON_STORE_URL=" + url
	args := []string{"store", "copy", "--to", url, "--retire"}

	p := launch(t, binary, environ, args...)
	p.eventually("some tokens are there", func() bool { return count(t, url) > 0 })
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	released(t, url)
	there := count(t, url)
	t.Logf("killed after %d of %d tokens", there, n)
	if there == 0 || there == n {
		t.Fatalf("killed with %d of %d tokens", there, n)
	}
	launch(t, binary, served, "serve").wantRefused("it is an unfinished copy: run `jeton store copy` again")

	p = launch(t, binary, environ, args...)
	if code := p.end(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.log)
	}
	if got := count(t, url); got != n {
		t.Errorf("%d tokens in the copy, want %d", got, n)
	}
	launch(t, binary, environ, "serve").wantRefused("it was moved away, to postgres://")
	p = launch(t, binary, served, "serve")
	p.eventually("the copy is served", func() bool { return strings.Contains(p.log.String(), "serving") })
	p.wantStopped()
}

// count is how many tokens a database on PostgreSQL has; -1: it has no such table yet.
func count(t *testing.T, url string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM tokens`).Scan(&n); err != nil {
		return -1
	}
	return n
}

// released waits until the server has noticed that a client was killed: it holds what
// the client had locked until then.
func released(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var others int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&others); err != nil {
			t.Fatal(err)
		}
		if others == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are left", others)
		}
	}
}
