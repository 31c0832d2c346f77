package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/oauth"
)

// backup takes one through the admin API.
func (w *world) backup() string {
	w.t.Helper()
	file, err := os.Create(filepath.Join(w.t.TempDir(), "backup.db"))
	must(w.t, err)
	_, err = w.operator().Backup(w.t.Context(), file, "nightly")
	must(w.t, err)
	must(w.t, file.Close())
	return file.Name()
}

// returnTo stops the server, restores the backup in place of its database, and
// starts the server again.
func (w *world) returnTo(backup string) sqlite.Restored {
	w.t.Helper()
	w.stop()
	must(w.t, os.Rename(w.file, w.file+".old"))
	r, err := server.Restore(w.t.Context(), w.config, backup, w.config.Store.URL)
	must(w.t, err)
	w.start()
	return r
}

// A backup that is taken under load and restored: what was issued or refreshed
// since is refused, by guards that were connected all the time too; nothing
// forks; and what is older goes on.
func TestRestore_OldBackup(t *testing.T) {
	w := newWorld(t, options{runs: true})
	connected := w.fleet(1)[0]
	chain := w.signedIn("web")
	quiet := w.signedIn("web").text("refresh_token")
	before := w.machine()
	dead := w.machine()
	w.end(dead)

	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				w.machine()
			}
		})
	}
	backup := w.backup()
	stop()
	load.Wait()
	w.wantEvents(authority.EventBackupTaken, 1)

	first := w.refresh("web", chain.text("refresh_token")).ok()
	second := w.refresh("web", first.text("refresh_token")).ok()
	after := w.machine()
	for what, token := range map[string]string{"before": before, "after": after} {
		if reason := refusal(t, connected, token); reason != "" {
			t.Fatalf("a token of %s the backup is refused before the restore: %s", what, reason)
		}
	}
	was := w.head()
	r := w.returnTo(backup)
	if r.Accounts != 1 || r.Grants == 0 || r.Tokens == 0 || time.Since(r.Newest) > time.Hour || r.Older != 0 {
		t.Errorf("restored %+v", r)
	}
	if now := w.head(); now.Incarnation == was.Incarnation {
		t.Error("the log goes by its old name")
	}

	// A connected guard takes the new snapshot and asks again.
	eventually(t, "the connected guard refuses what the authority does not know", 30*time.Second, func() bool {
		return refusal(t, connected, after) == jeton.ReasonUnknownToken
	})
	for _, g := range []*jeton.Guard{connected, w.fleet(1)[0]} {
		if reason := refusal(t, g, before); reason != "" {
			t.Errorf("a token from before the backup is refused: %s", reason)
		}
		if reason := refusal(t, g, dead); reason != jeton.ReasonRevoked {
			t.Errorf("a token revoked before the backup: %q", reason)
		}
		if reason := refusal(t, g, after); reason != jeton.ReasonUnknownToken {
			t.Errorf("a token from after the backup: %q", reason)
		}
	}
	w.wantDead("a token from after the backup", after)

	// Two generations ahead of the row: neither honoured nor held against anybody.
	w.refresh("web", second.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.wantEvents(authority.EventRefreshFromFuture, 1)
	w.wantEvents(authority.EventRefreshReused, 0)
	w.refresh("web", quiet).ok()
}

func TestRestore_Refuses(t *testing.T) {
	w := newWorld(t, options{})
	w.signedIn("web")
	backup := w.backup()
	elsewhere := "sqlite:" + filepath.Join(t.TempDir(), "new", "jeton.db")
	restore := func(cfg config.Config, from, to string) error {
		_, err := server.Restore(t.Context(), cfg, from, to)
		return err
	}
	wrong := w.config
	wrong.SealingKey = secret.New("d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3I=")
	damaged, err := os.ReadFile(backup)
	must(t, err)
	for i := 4096; i < len(damaged); i += 7 {
		damaged[i] ^= 0x55
	}
	broken := filepath.Join(t.TempDir(), "broken.db")
	must(t, os.WriteFile(broken, damaged, 0o600))
	half := filepath.Join(t.TempDir(), "half.db")
	must(t, os.WriteFile(half, damaged[:len(damaged)/2], 0o600))
	for name, try := range map[string]struct {
		err error
		is  error
	}{
		"a server runs":       {restore(w.config, backup, w.config.Store.URL), sqlite.ErrLocked},
		"another sealing key": {restore(wrong, backup, elsewhere), nil},
		"damaged":             {restore(w.config, broken, elsewhere), nil},
		"half a file":         {restore(w.config, half, elsewhere), nil},
		"nothing there":       {restore(w.config, backup+"x", elsewhere), os.ErrNotExist},
	} {
		if try.err == nil || try.is != nil && !errors.Is(try.err, try.is) {
			t.Errorf("%s: got %v, want %v", name, try.err, try.is)
		}
	}
	left, err := filepath.Glob(filepath.Dir(elsewhere[len("sqlite:"):]) + "/*")
	must(t, err)
	for _, name := range left {
		if filepath.Ext(name) != ".lock" {
			t.Errorf("a refused restore left %s", name)
		}
	}
	must(t, restore(w.config, backup, elsewhere))
	if err := restore(w.config, backup, elsewhere); !errors.Is(err, sqlite.ErrTargetExists) {
		t.Errorf("over a database: %v", err)
	}
}

// The answer says its length and digest, so a client knows when it has not all.
func TestBackup_CutOff(t *testing.T) {
	w := newWorld(t, options{})
	for name, spoil := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"changed": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
	} {
		c := w.operator()
		c.HTTP = &http.Client{Transport: spoiling(spoil)}
		if _, err := c.Backup(t.Context(), io.Discard, ""); !errors.Is(err, adminclient.ErrIncomplete) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// spoiling changes the bodies of answers on their way.
type spoiling func([]byte) []byte

func (s spoiling) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(s(body)))
	return resp, err
}
