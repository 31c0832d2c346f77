package server_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
)

// Issue 3, "Show" 6: without credentials a guard works on signatures, and says so.
func TestGuard_SignaturesOnly(t *testing.T) {
	w := newWorld(t, options{})
	var log lockedBuffer
	c := w.guardConfig()
	c.Client, c.Logger = jeton.Credential{}, slog.New(slog.NewTextHandler(&log, nil))
	g := guard(t, c)
	token, other := w.machine(), w.machine()
	eventually(t, "the guard has keys", 20*time.Second, g.Ready)
	if g.Mode() != jeton.SignaturesOnly || g.Stats().Mode != jeton.SignaturesOnly {
		t.Errorf("mode %v", g.Mode())
	}
	for range 100 {
		if got := refusal(t, g, token); got != "" {
			t.Fatalf("a live token is refused: %s", got)
		}
	}
	w.end(token)
	for _, x := range []string{token, other} {
		if got := refusal(t, g, x, jeton.Fail(jeton.Closed)); got != "" {
			t.Errorf("got %q: this guard cannot know what was revoked", got)
		}
	}
	if n := strings.Count(log.String(), "no credentials"); n != 1 {
		t.Errorf("it is said %d times that revocation does not work, want once: %s", n, log.String())
	}
	if n := w.gauge("jeton_feed_subscribers"); n != 0 {
		t.Errorf("%v subscribers", n)
	}
	tampered := []byte(token)
	at := bytes.LastIndexByte(tampered, '.') + 5
	tampered[at] = map[bool]byte{true: 'B', false: 'A'}[tampered[at] == 'A']
	if got := refusal(t, g, string(tampered)); got != jeton.ReasonBadSignature {
		t.Errorf("a wrong signature: %q", got)
	}
	w.clock.advance(5 * time.Minute)
	if got := refusal(t, g, other); got != jeton.ReasonExpired {
		t.Errorf("an expired token: %q", got)
	}
}

// A guard may start before the authority. It refuses what it cannot judge, and
// needs no help when the authority comes.
func TestGuard_StartsBeforeTheAuthority(t *testing.T) {
	w := newWorld(t, options{runs: true})
	token, dead := w.machine(), w.machine()
	w.end(dead)
	w.stop()
	g := guard(t, w.guardConfig())
	if g.Mode() != jeton.Full || g.Ready() {
		t.Errorf("mode %v, ready %v", g.Mode(), g.Ready())
	}
	modes := []jeton.FailMode{jeton.Introspect, jeton.Closed, jeton.Open}
	for _, mode := range modes {
		if got := refusal(t, g, token, jeton.Fail(mode)); got != jeton.ReasonKeysUnavailable {
			t.Errorf("fail %v: got %q, want keys_unavailable", mode, got)
		}
	}
	w.start()
	eventually(t, "the guard recovers", time.Minute, g.Ready)
	for _, mode := range modes {
		if got := refusal(t, g, token, jeton.Fail(mode)); got != "" {
			t.Errorf("fail %v: a live token is refused: %s", mode, got)
		}
		if got := refusal(t, g, dead, jeton.Fail(mode)); got != jeton.ReasonRevoked {
			t.Errorf("fail %v: a token that was revoked before: %q", mode, got)
		}
	}
	again := w.machine()
	w.end(again)
	eventually(t, "the guard follows", 20*time.Second, func() bool { return refusal(t, g, again) == jeton.ReasonRevoked })

	// It loses the authority: what it has seen goes by the route.
	w.stop()
	eventually(t, "the view is stale", 20*time.Second, func() bool { return !g.Ready() })
	for mode, want := range map[jeton.FailMode]string{
		jeton.Introspect: jeton.ReasonAuthorityUnavailable, jeton.Closed: jeton.ReasonViewStale, jeton.Open: "",
	} {
		if got := refusal(t, g, token, jeton.Fail(mode)); got != want {
			t.Errorf("fail %v without the authority: got %q, want %q", mode, got, want)
		}
		if got := refusal(t, g, dead, jeton.Fail(mode)); got != jeton.ReasonRevoked {
			t.Errorf("fail %v without the authority: a revoked token: %q", mode, got)
		}
	}
	w.start()
	eventually(t, "the guard recovers again", time.Minute, func() bool { return refusal(t, g, token, jeton.Fail(jeton.Closed)) == "" })
}
