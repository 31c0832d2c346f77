package jeton

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/revocation"
)

// A guard whose feed is silent does what the route says, no later than after MaxStaleness.
func TestStale_FailModes(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint()
		if got := check(t, g, token); got != "" {
			t.Fatal(got)
		}
		a.setMute(true)
		time.Sleep(2*time.Second - 501*time.Millisecond) // the last heartbeat is up to 500 ms old
		if got := check(t, g, token, Fail(Closed)); got != "" {
			t.Errorf("before it is stale: %q", got)
		}
		time.Sleep(502 * time.Millisecond)
		if !g.Stats().Stale || g.Ready() {
			t.Error("stale, and does not say so")
		}
		asked := a.tripCount()
		if got, want := check(t, g, token, Fail(Closed)), ReasonViewStale; got != want {
			t.Errorf("closed: %q, want %q", got, want)
		}
		if got := check(t, g, token, Fail(Open)); got != "" {
			t.Errorf("open: %q", got)
		}
		if got := check(t, g, token, MaxStaleness(time.Minute), Fail(Closed)); got != "" {
			t.Errorf("closed, with more patience: %q", got)
		}
		if got := a.tripCount(); got != asked {
			t.Errorf("%d questions without need", got-asked)
		}
		for range 10 {
			if got := check(t, g, token); got != "" {
				t.Errorf("introspect: %q", got)
			}
		}
		if got, want := a.tripCount()-asked, 1; got != want {
			t.Errorf("introspect: %d questions, want %d", got, want)
		}

		// The authority revokes, and cannot tell by the feed. Its last answer is good for a second.
		id, _ := revocation.ParseID(claimsOf(t, token).ID)
		a.change(func() { a.dead[id] = ReasonRevoked })
		time.Sleep(time.Second)
		if got := check(t, g, token); got != "" {
			t.Errorf("introspect, after a second: %q", got)
		}
		time.Sleep(time.Nanosecond)
		if got, want := check(t, g, token), ReasonRevoked; got != want {
			t.Errorf("introspect, after more than a second: %q, want %q", got, want)
		}
	})
}

func TestStale_AuthorityGone(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		seen, fresh := a.mint(), a.mint()
		if got := check(t, g, seen); got != "" {
			t.Fatal(got)
		}
		a.setDown(true)
		if got := check(t, g, seen); got != "" {
			t.Errorf("a seen token, the view still fresh: %q", got)
		}
		if got, want := check(t, g, fresh), ReasonAuthorityUnavailable; got != want {
			t.Errorf("first sight: %q, want %q", got, want)
		}
		if got := check(t, g, fresh, Fail(Open)); got != "" {
			t.Errorf("first sight, open: %q", got)
		}
		if got := check(t, g, fresh, SkipRegistry()); got != "" {
			t.Errorf("first sight, without the registry: %q", got)
		}
		time.Sleep(3 * time.Second)
		for _, test := range []struct {
			demand Demand
			want   string
		}{
			{Fail(Introspect), ReasonAuthorityUnavailable}, {Fail(Closed), ReasonViewStale}, {Fail(Open), ""},
		} {
			if got := check(t, g, seen, test.demand); got != test.want {
				t.Errorf("%v: %q, want %q", test.demand.mode, got, test.want)
			}
		}
		id, _ := revocation.ParseID(claimsOf(t, fresh).ID)
		a.change(func() { a.dead[id] = ReasonRevoked })
		a.setDown(false)
		time.Sleep(10 * time.Second)
		if got := check(t, g, seen, Fail(Closed)); got != "" {
			t.Errorf("recovered: %q", got)
		}
		if !g.Ready() {
			t.Error("recovered, and not ready")
		}
		// Open did not pass for an answer of the authority.
		if got, want := check(t, g, fresh), ReasonRevoked; got != want {
			t.Errorf("the token that was let through: %q, want %q", got, want)
		}
	})
}

// Open lets a token pass about which nobody could be asked, and none that was found to be bad.
func TestStale_OpenStillRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		c := goodClaims()
		forged, revoked := a.sign("at+jwt", &c), a.mint()
		a.revoke(revocation.Token, claimsOf(t, revoked).ID)
		synctest.Wait()
		for range 2 {
			if got, want := check(t, g, forged, Fail(Open)), ReasonUnknownToken; got != want {
				t.Errorf("never issued: %q, want %q", got, want)
			}
			if got, want := check(t, g, revoked, Fail(Open)), ReasonRevoked; got != want {
				t.Errorf("revoked: %q, want %q", got, want)
			}
			a.setMute(true)
		}
		a.setDown(true)
		time.Sleep(5 * time.Second)
		if got, want := check(t, g, revoked, Fail(Open)), ReasonRevoked; got != want {
			t.Errorf("revoked, and cut off: %q, want %q", got, want)
		}
	})
}

// While the authority hangs, only one request at a time waits to find out that it still does.
func TestStale_AuthorityHangs(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		a.setHold(true)
		began := time.Now()
		if got, want := check(t, g, a.mint()), ReasonAuthorityUnavailable; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got, want := time.Since(began), tripTimeout; got != want {
			t.Errorf("waited %v, want %v", got, want)
		}
		began = time.Now()
		for range 100 {
			if got, want := check(t, g, a.mint()), ReasonAuthorityUnavailable; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if got := time.Since(began); got != 0 {
			t.Errorf("then waited %v", got)
		}
		time.Sleep(time.Second)
		var work sync.WaitGroup
		waited := 0
		var mu sync.Mutex
		for range 100 {
			token := a.mint()
			work.Go(func() {
				began := time.Now()
				check(t, g, token)
				mu.Lock()
				defer mu.Unlock()
				if time.Since(began) > 0 {
					waited++
				}
			})
		}
		work.Wait()
		if got, want := waited, 1; got != want {
			t.Errorf("%d of 100 waited, want %d", got, want)
		}
		a.setHold(false)
		time.Sleep(time.Second)
		if got := check(t, g, a.mint()); got != "" {
			t.Errorf("afterwards: %q", got)
		}
	})
}

// Issue 3, item 6: the guard starts before the authority.
func TestStart_AuthorityDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newFakeAuthority(t)
		a.setDown(true)
		token := a.mint()
		began := time.Now()
		g := a.guard()
		defer func() { _ = g.Close() }()
		if got := time.Since(began); got != 0 {
			t.Errorf("NewGuard waited %v", got)
		}
		if g.Ready() {
			t.Error("ready without keys")
		}
		for _, mode := range []FailMode{Introspect, Closed, Open} {
			if got, want := check(t, g, token, Fail(mode)), ReasonKeysUnavailable; got != want {
				t.Errorf("%v: %q, want %q", mode, got, want)
			}
		}
		time.Sleep(time.Minute)
		a.setDown(false)
		time.Sleep(10 * time.Second)
		if !g.Ready() {
			t.Error("not ready, though nobody is in the way")
		}
		if got := check(t, g, token, Fail(Closed)); got != "" {
			t.Errorf("%q", got)
		}
	})
}

// Before the first snapshot the view is as good as stale.
func TestStart_NoViewYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newFakeAuthority(t)
		g := a.guard(func(c *Config) { c.FeedURL = testIssuer + "/nowhere" })
		defer func() { _ = g.Close() }()
		synctest.Wait()
		token := a.mint()
		for _, test := range []struct {
			mode FailMode
			want string
		}{{Introspect, ""}, {Closed, ReasonViewStale}, {Open, ""}} {
			if got := check(t, g, token, Fail(test.mode)); got != test.want {
				t.Errorf("%v: %q, want %q", test.mode, got, test.want)
			}
		}
		if g.Ready() {
			t.Error("ready without a view")
		}
	})
}

// Issue 3, item 6: without credentials the guard works on signatures and says so.
func TestMode_SignaturesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newFakeAuthority(t)
		var log bytes.Buffer
		g := a.guard(func(c *Config) {
			c.Client = Credential{}
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		defer func() { _ = g.Close() }()
		synctest.Wait()
		if got, want := g.Mode(), SignaturesOnly; got != want {
			t.Errorf("mode %v, want %v", got, want)
		}
		if !g.Ready() {
			t.Error("not ready")
		}
		token := a.mint()
		c := goodClaims()
		c.ID = "any id will do"
		for _, token := range []string{token, a.sign("at+jwt", &c)} {
			for range 3 {
				if got := check(t, g, token, Fail(Closed)); got != "" {
					t.Error(got)
				}
			}
		}
		a.revoke(revocation.Token, claimsOf(t, token).ID)
		synctest.Wait()
		if got := check(t, g, token); got != "" {
			t.Errorf("how does it know: %q", got)
		}
		time.Sleep(300 * time.Second)
		if got, want := check(t, g, token), ReasonExpired; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := a.tripCount(); got != 0 {
			t.Errorf("%d questions", got)
		}
		if got, want := strings.Count(log.String(), "no credentials"), 1; got != want {
			t.Errorf("said so %d times, want %d:\n%s", got, want, log.String())
		}
		if s := g.Stats(); s.Mode != SignaturesOnly || !s.Ready || s.Stale {
			t.Errorf("stats %+v", s)
		}
	})
}

// Revocations reach each of many guards.
func TestFeed_HundredGuards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newFakeAuthority(t)
		guards := make([]*Guard, 100)
		for i := range guards {
			guards[i] = a.guard()
			defer func() { _ = guards[i].Close() }()
		}
		synctest.Wait()
		token := a.mint()
		for _, g := range guards {
			if got := check(t, g, token); got != "" {
				t.Fatal(got)
			}
		}
		began := time.Now()
		a.revoke(revocation.Session, claimsOf(t, token).SessionID)
		synctest.Wait()
		for i, g := range guards {
			if got, want := check(t, g, token), ReasonSessionEnded; got != want {
				t.Errorf("guard %d: %q, want %q", i, got, want)
			}
		}
		if got := time.Since(began); got != 0 {
			t.Errorf("after %v", got)
		}
	})
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint()
		if got := check(t, g, token); got != "" {
			t.Fatal(got)
		}
		for range 2 {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}
		if got, want := check(t, g, a.mint()), ReasonAuthorityUnavailable; got != want {
			t.Errorf("first sight: %q, want %q", got, want)
		}
		time.Sleep(3 * time.Second)
		if got, want := check(t, g, token, Fail(Closed)), ReasonViewStale; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestConfig_Problems(t *testing.T) {
	good := Config{Issuer: testIssuer, Audience: testAudience, Logger: slog.New(slog.DiscardHandler)}
	tests := []struct {
		name   string
		change func(*Config)
		want   string // part of the error, "" for none
	}{
		{"http issuer", func(c *Config) { c.Issuer = "http://id.example.com" }, "Config.Issuer must be https"},
		{"http feed", func(c *Config) { c.FeedURL = "http://id.example.com/f" }, "Config.FeedURL must be https"},
		{"http registry", func(c *Config) { c.RegistryURL = "http://id.example.com/f" }, "Config.RegistryURL must be https"},
		{"http keys", func(c *Config) { c.JWKSURL = "http://id.example.com/f" }, "Config.JWKSURL must be https"},
		{"no issuer", func(c *Config) { c.Issuer = "" }, "Config.Issuer is not a plain absolute URL"},
		{"password in the issuer", func(c *Config) { c.Issuer = "https://me:hunter2@id.example.com" }, "Config.Issuer is not a plain absolute URL"},
		{"no audience", func(c *Config) { c.Audience = "" }, "Config.Audience is empty"},
		{"secret not set", func(c *Config) { c.Client = ClientSecret("reports-api", "") }, "empty secret"},
		{"client without id", func(c *Config) { c.Client = ClientSecret("", "x") }, "no id"},
		{"HMAC", func(c *Config) { c.Algorithms = []jwk.Algorithm{jwk.HS256} }, "symmetric"},
		{"unknown algorithm", func(c *Config) { c.Algorithms = []jwk.Algorithm{"none"} }, "not supported"},
		{"negative staleness", func(c *Config) { c.MaxStaleness = -1 }, "MaxStaleness"},
		{"endless leeway", func(c *Config) { c.Leeway = time.Hour }, "Leeway"},
		{"unknown fail mode", func(c *Config) { c.FailMode = 7 }, "FailMode"},
		{"two problems", func(c *Config) { c.Issuer, c.Audience = "http://id.example.com", "" }, "Config.Audience is empty"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := good
			test.change(&c)
			g, err := NewGuard(c)
			if err == nil {
				_ = g.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("prints a password")
			}
		})
	}
}
