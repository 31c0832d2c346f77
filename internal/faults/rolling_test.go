package faults_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/installed"
	"github.com/jetonhq/jeton/internal/pgtest"
)

// Three nodes behind Caddy, as deploy/Caddyfile.nodes has it, are restarted in
// turn while callers go on. Not one request fails.
func TestRolling(t *testing.T) {
	caddy := installed.Program(t, "caddy")
	database := pgtest.Database(t)
	site := free(t)
	_, public, _ := net.SplitHostPort(free(t))
	_, manage, _ := net.SplitHostPort(free(t))
	a := plan{
		issuer: "http://" + site, stores: []string{database, database, database}, notice: 1500 * time.Millisecond,
		// Caddy asks all nodes for their health at one port.
		port: func(number int) (string, string) {
			host := fmt.Sprint("127.0.0.", number+1)
			return net.JoinHostPort(host, public), net.JoinHostPort(host, manage)
		},
	}.start(t)
	var addresses []string
	for _, n := range a.nodes {
		addresses = append(addresses, n.public)
	}
	balance(t, caddy, "JETON_SITE="+a.issuer, "JETON_NODES="+strings.Join(addresses, " "), "READY_PORT="+manage, "READY_INTERVAL=200ms")
	balanced := &node{t: t, http: caller(t, site)}
	eventually(t, "Caddy serves", func() bool { return balanced.answers(a.issuer) })
	b := a.signIn(balanced)

	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	steps := make([]int, 4)
	for i := range steps {
		work.Go(func() { steps[i] = a.goOn(ctx, balanced, b) })
	}
	for end := time.Now().Add(lasting(0)); ; {
		for _, n := range a.nodes {
			n.stop()
			n.start()
			n.wantReady()
			time.Sleep(time.Second) // until Caddy knows: a restart by hand waits as well
		}
		if time.Now().After(end) {
			break
		}
	}
	cancel()
	work.Wait()
	t.Logf("%v times signed in or refreshed, issued, introspected and revoked, without a failure", steps)
	for _, n := range steps {
		if n < 10 {
			t.Errorf("a caller made %d steps: the test has no power", n)
		}
	}
}

// balance runs Caddy with the file that we hand out.
func balance(t *testing.T, caddy string, environ ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), caddy, "run", "--adapter", "caddyfile", "--config", filepath.Join("..", "..", "deploy", "Caddyfile.nodes"))
	cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, environ...)
	log, err := os.Create(filepath.Join(t.TempDir(), "caddy.log"))
	must(t, err)
	cmd.Stderr = log
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("Caddy: %s, %v", text, err)
		}
	})
}

// answers reports whether a site is there.
func (n *node) answers(site string) bool {
	r, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, site+"/signin", http.NoBody)
	must(n.t, err)
	resp, err := n.http.Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// goOn signs in, refreshes, issues, introspects and revokes until ctx is done.
// Everything must work. It returns how often it went around.
func (a *authority) goOn(ctx context.Context, at *node, b *browser) (steps int) {
	calls := context.WithoutCancel(ctx)
	wanted := func(what string, err error) bool {
		if err != nil {
			a.t.Errorf("%s: %v", what, err)
		}
		return err == nil
	}
	for ; ctx.Err() == nil && !a.t.Failed(); steps++ {
		code, err := b.code(calls, at)
		if !wanted("authorize", err) {
			return steps
		}
		grant, err := a.redeem(calls, at, code)
		wanted("redeem", err)
		for range 5 {
			if grant, err = a.refresh(calls, at, grant.refresh); !wanted("refresh", err) {
				return steps
			}
			alive, err := a.active(calls, at, grant.access)
			if wanted("introspect", err) && !alive {
				a.t.Error("a token that was just refreshed is not active")
			}
			_, err = a.tokens(calls, at, "machine", "grant_type", "client_credentials")
			wanted("issue", err)
		}
		wanted("revoke", a.revoke(calls, at, "web", grant.refresh))
	}
	return steps
}
