package sqlite

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// childPath makes the test binary the process that is killed.
const childPath = "JETON_TEST_CRASH_DATABASE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		if err := writeUntilKilled(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeUntilKilled issues tokens and revokes grants from many goroutines, and
// prints a line for each call after it was answered.
func writeUntilKilled(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	answered := func(kind string, id secret.ID) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(kind, hex.EncodeToString(id[:]))
	}
	failed := make(chan error)
	for caller := range 16 {
		go func() {
			for n := 0; ; n++ {
				now := time.Now()
				g := authority.Grant{
					ID: secret.NewID(now), Type: standing, ClientID: fmt.Sprintf("client-%d-%x", caller, secret.Bytes(8)),
					CreatedAt: now, LastUsed: now, IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
				}
				if _, err := s.OpenStanding(ctx, g, event(now)); err != nil {
					failed <- err
				}
				answered("grant", g.ID)
				for range 20 {
					v := newToken(g.ID, now, time.Hour)
					if err := s.Issue(ctx, authority.Issue{Token: v, Now: now}); err != nil {
						failed <- err
					}
					answered("token", v.ID)
				}
				r := authority.Revocation{Grant: g.ID, Reason: "test", Now: now, Until: now.Add(time.Hour), Event: event(now)}
				if _, err := s.Revoke(ctx, r); err != nil {
					failed <- err
				}
				answered("ended", g.ID)
			}
		}()
	}
	return <-failed
}

// Whatever moment the process is killed at: the file is sound, what was
// answered is there, and the log has no gaps.
func TestCrash_AnsweredWritesSurvive(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	path := filepath.Join(t.TempDir(), "jeton.db")
	total := 0
	for round := range rounds {
		lines := killed(t, path)
		total += len(lines)
		s, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Fatalf("round %d: open after the crash: %v", round, err)
		}
		if err := verify(t.Context(), s, lines); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if total < rounds*20 {
		t.Errorf("only %d calls were answered in %d rounds", total, rounds)
	}
	t.Logf("%d answered calls in %d rounds", total, rounds)
}

// killed runs the child on the database, kills it at some moment under load and
// returns what it had answered.
func killed(t *testing.T, path string) []string {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$") // #nosec G204 -- this binary
	child.Env = append(os.Environ(), childPath+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	scan := bufio.NewScanner(out)
	for scan.Scan() {
		if lines = append(lines, scan.Text()); len(lines) == 40 {
			time.AfterFunc(rand.N(150*time.Millisecond), func() { _ = child.Process.Kill() })
		}
	}
	if err := child.Wait(); err == nil || len(lines) < 40 {
		t.Fatalf("the child ended by itself after %d calls: %v", len(lines), err)
	}
	return lines
}

func verify(ctx context.Context, s *Store, lines []string) error {
	var sound string
	if err := s.reads.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		return fmt.Errorf("integrity check: %s: %w", sound, err)
	}
	for i, line := range lines {
		kind, text, ok := strings.Cut(line, " ")
		raw, err := hex.DecodeString(text)
		if !ok || err != nil || len(raw) != 16 {
			if i == len(lines)-1 {
				break // cut off in the middle of the line
			}
			return fmt.Errorf("line %q", line)
		}
		id := secret.ID(raw)
		switch kind {
		case "token":
			if found, err := s.Tokens(ctx, []secret.ID{id}); err != nil || len(found) != 1 {
				return fmt.Errorf("answered token is gone: %w", err)
			}
		case "grant":
			if _, err := s.Grant(ctx, id); err != nil {
				return fmt.Errorf("answered grant: %w", err)
			}
		case "ended":
			if g, err := s.Grant(ctx, id); err != nil || g.EndedAt.IsZero() {
				return fmt.Errorf("answered revocation is gone: %w", err)
			}
			if _, err := s.Revoked(ctx, authority.KindGrant, id); err != nil {
				return fmt.Errorf("answered revocation is not in the log: %w", err)
			}
		}
	}
	_, head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	var count uint64
	if err := s.reads.QueryRowContext(ctx, "SELECT count(*) FROM revocations").Scan(&count); err != nil || count != head {
		return fmt.Errorf("the log holds %d entries at head %d: %w", count, head, err)
	}
	return nil
}
