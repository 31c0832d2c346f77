package agent_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/agent"
	"github.com/jetonhq/jeton/jetontest"
)

// An agent starts before the authority, says so, and recovers by itself.
func TestOutage_AtStart(t *testing.T) {
	authority := jetontest.New(t)
	way := &line{cut: true}
	a := open(t, authority, settings{line: way})
	token := authority.Token(t)
	if w := ask(a, "GET", "/livez", nil, nil); w.Code != 200 {
		t.Errorf("livez: %d", w.Code)
	}
	if w := ask(a, "GET", "/readyz", nil, nil); w.Code != 503 || !strings.Contains(w.Body.String(), "unavailable") {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
	unavailable(t, a, token, jeton.ReasonKeysUnavailable)
	way.set(false)
	until(t, "ready", func() bool { return ask(a, "GET", "/readyz", nil, nil).Code == 200 })
	if w := ask(a, "GET", "/check", bearer(token), nil); w.Code != 200 {
		t.Errorf("recovered: %d (%s)", w.Code, w.Header().Get("Jeton-Reason"))
	}
	if w := introspect(a, token); !strings.Contains(w.Body.String(), `"active":true`) {
		t.Errorf("recovered: %s", w.Body)
	}
}

// What an agent that was cut off does is a matter of its fail mode.
func TestOutage_FailModes(t *testing.T) {
	for _, test := range []struct {
		mode jeton.FailMode
		seen string // reason for a token seen before
		new  string // and for a new one
	}{
		{jeton.Introspect, jeton.ReasonAuthorityUnavailable, jeton.ReasonAuthorityUnavailable},
		{jeton.Closed, jeton.ReasonViewStale, jeton.ReasonViewStale},
		{jeton.Open, "", ""},
	} {
		t.Run(test.mode.String(), func(t *testing.T) {
			authority := jetontest.New(t)
			way := &line{}
			a := open(t, authority, settings{line: way, Config: agent.Config{FailMode: test.mode, MaxStaleness: time.Second}})
			until(t, "ready", a.Ready)
			seen, fresh := authority.Token(t), authority.Token(t)
			if w := ask(a, "GET", "/check", bearer(seen), nil); w.Code != 200 {
				t.Fatal(w.Code)
			}
			way.set(true)
			until(t, "stale", func() bool { return !a.Ready() })
			if w := ask(a, "GET", "/readyz", nil, nil); w.Code != 503 || !strings.Contains(w.Body.String(), "feed") {
				t.Errorf("readyz: %d %s", w.Code, w.Body)
			}
			// An answer of the authority is good for a second more.
			for token, want := range map[string]string{seen: test.seen, fresh: test.new} {
				until(t, "as the mode says", func() bool {
					return ask(a, "GET", "/check", bearer(token), nil).Header().Get("Jeton-Reason") == want
				})
				if want != "" {
					unavailable(t, a, token, want)
				} else if w := introspect(a, token); !strings.Contains(w.Body.String(), `"active":true`) {
					t.Errorf("introspection: %d %s", w.Code, w.Body)
				}
			}
			authority.Revoke(t, seen)
			way.set(false)
			until(t, "caught up", func() bool {
				return ask(a, "GET", "/check", bearer(seen), nil).Header().Get("Jeton-Reason") == jeton.ReasonRevoked
			})
		})
	}
}

// unavailable: an outage is a 503 on both ways, and never "inactive".
func unavailable(t *testing.T, a *agent.Agent, token, reason string) {
	t.Helper()
	check, introspection := ask(a, "GET", "/check", bearer(token), nil), introspect(a, token)
	for name, got := range map[string]struct {
		code   int
		header http.Header
		body   string
	}{
		"check":         {check.Code, check.Header(), check.Body.String()},
		"introspection": {introspection.Code, introspection.Header(), introspection.Body.String()},
	} {
		if got.code != 503 || got.header.Get("Jeton-Reason") != reason || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "active") {
			t.Errorf("%s: %d %v %s, want 503 for %s", name, got.code, got.header, got.body, reason)
		}
	}
}

// sink is a log that may be read while it is written.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Whatever is asked, and whatever goes wrong, no token and no secret is in the
// log, the metrics or an answer.
func TestNoSecretsInLogs(t *testing.T) {
	authority := jetontest.New(t)
	way, log := &line{cut: true}, &sink{}
	a := open(t, authority, settings{line: way, log: log})
	var texts []string
	try := func(token string) {
		texts = append(texts, token)
		for _, target := range []string{"/check", "/check?scope=admin", "/check?scopes=" + token, "/check?scope=" + token + "%0A", "/check/" + token, "/" + token} {
			_, _ = log.Write(ask(a, "GET", target, bearer(token), nil).Body.Bytes())
		}
		h := bearer(token)
		h["X-Jeton-Scope"] = []string{token + "\""}
		_, _ = log.Write(ask(a, "GET", "/check", h, nil).Body.Bytes())
		_, _ = log.Write(introspect(a, token).Body.Bytes())
	}
	try(authority.Token(t))
	way.set(false)
	until(t, "ready", a.Ready)
	try(authority.Token(t))
	try(authority.Token(t)[8:])
	revoked := authority.Token(t)
	authority.Revoke(t, revoked)
	try(revoked)
	_, _ = log.Write(ask(a, "GET", "/metrics", nil, nil).Body.Bytes())
	all := log.String()
	for _, text := range texts {
		signature := text[strings.LastIndex(text, ".")+1:]
		if strings.Contains(all, text) || strings.Contains(all, signature) || strings.Contains(all, base64.StdEncoding.EncodeToString([]byte(text))) {
			t.Errorf("a token is in\n%s", all)
		}
	}
	if got := strings.Count(all, "a proxy asked"); got != 2 {
		t.Errorf("two wrong configurations were logged %d times:\n%s", got, all)
	}
}
