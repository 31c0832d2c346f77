package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/oauth"
)

// together calls f from n goroutines and waits for all.
func together(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

func TestKeeper_FiftyCallersMakeOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.at = slow(time.Second)
		k := a.credentials(t, nil)
		together(50, func() {
			if got, err := k.Token(t.Context()); err != nil || got.AccessToken.Reveal() != "at-1" {
				t.Errorf("got %s, %v", got.AccessToken.Reveal(), err)
			}
		})
		wantCounts(t, a, counts{Requests: 1, Issued: 1})
	})
}

func TestKeeper_FiftyRefusalsOfOneTokenMakeOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.at = slow(time.Second)
		k := a.credentials(t, nil)
		used := mustToken(t, k)
		var started atomic.Int64
		together(50, func() {
			// Refusals come in over five seconds: some before the answer, some long after it.
			time.Sleep(time.Duration(started.Add(1)) * 100 * time.Millisecond)
			if got, err := k.Refresh(t.Context(), used); err != nil || got.AccessToken.Reveal() != "at-2" {
				t.Errorf("got %s, %v", got.AccessToken.Reveal(), err)
			}
		})
		wantCounts(t, a, counts{Requests: 2, Issued: 2})
	})
}

func TestKeeper_RefreshesEarlyWhileServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		k := a.credentials(t, nil)
		first := mustToken(t, k)
		if want := time.Now().Add(5 * time.Minute); !first.Expiry.Equal(want) || first.Type != "Bearer" || first.Scope != "read" {
			t.Fatalf("got %v %s %s, want expiry %v", first.Expiry, first.Type, first.Scope, want)
		}
		time.Sleep(224 * time.Second) // a fifth, plus a quarter of that: not before 225 s
		wantToken(t, k, "at-1")
		synctest.Wait()
		wantCounts(t, a, counts{Requests: 1, Issued: 1})

		a.at = slow(5 * time.Second)
		time.Sleep(32 * time.Second) // 256 s: the latest moment is 255 s
		before := time.Now()
		wantToken(t, k, "at-1") // starts the refresh, does not wait for it
		wantToken(t, k, "at-1")
		if waited := time.Since(before); waited != 0 {
			t.Fatalf("a caller with a good token waited %v", waited)
		}
		time.Sleep(16 * time.Second)
		wantToken(t, k, "at-2")
		wantCounts(t, a, counts{Requests: 2, Issued: 2})
	})
}

func TestKeeper_FailedRefreshKeepsTheWorkingToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		var reported atomic.Int64
		k := a.credentials(t, func(c *Config) { c.OnError = func(error) { reported.Add(1) } })
		first := mustToken(t, k)
		a.at = busy
		for time.Now().Before(first.Expiry.Add(-time.Second)) {
			time.Sleep(time.Second)
			wantToken(t, k, "at-1")
		}
		if _, err := k.Refresh(t.Context(), first); oauth.CodeOf(err) != oauth.TemporarilyUnavailable {
			t.Fatalf("forced: got %v", err)
		}
		wantToken(t, k, "at-1") // refused by one API, still good for others
		// From 45 to 75 s before the expiry, with pauses of 1, 2, 4, 8, 16 and 30 s, each a quarter more or less.
		if got := a.counts().Requests - 1; got < 5 || got > 9 {
			t.Errorf("got %d attempts, want a handful", got)
		}
		if got := int(reported.Load()); got != a.counts().Requests-1 {
			t.Errorf("OnError was told of %d of %d failures", got, a.counts().Requests-1)
		}
		time.Sleep(2 * time.Second)
		if _, err := k.Token(t.Context()); oauth.CodeOf(err) != oauth.TemporarilyUnavailable {
			t.Fatalf("expired: got %v", err)
		}
		// Callers without a token fail fast in between, and at most one second goes by until the next attempt.
		before := a.counts().Requests
		for range 100 {
			if _, err := k.Token(t.Context()); err == nil {
				t.Fatal("a token out of nothing")
			}
		}
		if got := a.counts().Requests - before; got > 1 {
			t.Fatalf("%d requests for 100 callers at one moment", got)
		}
		a.at = nil
		time.Sleep(time.Second + time.Second/4)
		wantToken(t, k, "at-2")
	})
}

func TestKeeper_RefusedCredentialsAreNotTriedOnAndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		k := a.credentials(t, func(c *Config) { c.Secret = NewSecret("wrong") })
		for range 120 {
			if _, err := k.Token(t.Context()); oauth.CodeOf(err) != oauth.InvalidClient {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Second)
		}
		if got := a.counts().Requests; got < 6 || got > 11 { // 1, 2, 4, 8, 16, 30, 30 ... s
			t.Fatalf("%d requests in two minutes", got)
		}
	})
}

func TestGEN_11_RetryAfterIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.at = func(_ string, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "40")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error":"temporarily_unavailable"}`)
			return true
		}
		k := a.credentials(t, nil)
		for range 39 {
			_, _ = k.Token(t.Context())
			time.Sleep(time.Second)
		}
		wantCounts(t, a, counts{Requests: 1})
		a.at = nil
		time.Sleep(time.Second)
		wantToken(t, k, "at-1")
	})
}

func TestKeeper_CallerThatGivesUpEndsNobodyElsesRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.at = slow(time.Second)
		k := a.credentials(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := k.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		wantToken(t, k, "at-1")
		wantCounts(t, a, counts{Requests: 1, Issued: 1})
	})
}

func TestKeeper_APIThatRefusesEverythingIsNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		k := a.credentials(t, nil)
		for range 1000 {
			token := mustToken(t, k)
			_, _ = k.Refresh(t.Context(), token)
		}
		if got := a.counts().Requests; got != 11 {
			t.Fatalf("%d requests, want the first and ten more", got)
		}
		time.Sleep(6 * time.Second)
		if _, err := k.Refresh(t.Context(), mustToken(t, k)); err != nil {
			t.Fatalf("after a pause: %v", err)
		}
	})
}

func TestKeeper_ClockOfConfigDecides(t *testing.T) {
	a := newAuthority(t)
	var now atomic.Pointer[time.Time]
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	now.Store(&start)
	k := a.credentials(t, func(c *Config) {
		c.Now = func() time.Time { return *now.Load() }
		c.EarlyRefresh = -1
	})
	wantToken(t, k, "at-1")
	almost, then := start.Add(5*time.Minute-1), start.Add(5*time.Minute)
	now.Store(&almost)
	wantToken(t, k, "at-1")
	now.Store(&then)
	wantToken(t, k, "at-2")
	wantCounts(t, a, counts{Requests: 2, Issued: 2})
}

func TestEarliness(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name              string
		configured        time.Duration
		lifetime          time.Duration
		unknownStart      bool
		shortest, longest time.Duration
		mustSpread        bool
	}{
		{"five minutes", 0, 5 * time.Minute, false, 45 * time.Second, 75 * time.Second, true},
		{"an hour", 0, time.Hour, false, 9 * time.Minute, 15 * time.Minute, true},
		{"a minute", 0, time.Minute, false, 22500 * time.Millisecond, 30 * time.Second, true},
		{"ten seconds", 0, 10 * time.Second, false, 5 * time.Second, 5 * time.Second, false},
		{"configured", 40 * time.Second, 5 * time.Minute, false, 30 * time.Second, 50 * time.Second, true},
		{"configured for longer than it lives", time.Hour, 5 * time.Minute, false, 150 * time.Second, 150 * time.Second, false},
		{"never", -1, 5 * time.Minute, false, 0, 0, false},
		{"of unknown age", 0, 5 * time.Minute, true, 45 * time.Second, 75 * time.Second, true},
	} {
		token := Token{AccessToken: NewSecret("x"), Expiry: now.Add(c.lifetime), obtained: now}
		if c.unknownStart {
			token.obtained = time.Time{}
		}
		seen := map[time.Duration]bool{}
		for range 1000 {
			got := earliness(c.configured, token, now)
			if got < c.shortest || got > c.longest {
				t.Fatalf("%s: got %v, want %v to %v", c.name, got, c.shortest, c.longest)
			}
			seen[got] = true
		}
		if c.mustSpread && len(seen) < 10 {
			t.Errorf("%s: %d different values in 1000", c.name, len(seen))
		}
	}
}
