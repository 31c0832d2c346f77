package jwk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

// authority answers like a jwks_uri, without a network, so that it can live in a
// synctest bubble.
type authority struct {
	mu      sync.Mutex
	set     *jwk.Set
	delay   time.Duration
	status  int
	header  http.Header
	err     error
	seen    []*http.Request
	running atomic.Int32
	most    atomic.Int32
}

func (a *authority) RoundTrip(req *http.Request) (*http.Response, error) {
	if n := a.running.Add(1); n > a.most.Load() {
		a.most.Store(n)
	}
	defer a.running.Add(-1)
	a.mu.Lock()
	a.seen = append(a.seen, req)
	delay, status, err, header, set := a.delay, a.status, a.err, a.header.Clone(), a.set
	a.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	if header == nil {
		header = http.Header{}
	}
	if status == 0 {
		status = http.StatusOK
	}
	if etag := header.Get("ETag"); etag != "" && req.Header.Get("If-None-Match") == etag {
		status = http.StatusNotModified
	}
	body, jsonErr := json.Marshal(set)
	if jsonErr != nil {
		return nil, jsonErr
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(string(body))), Request: req}, nil
}

func (a *authority) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func remote(tb testing.TB, a *authority, c jwk.RemoteConfig) *jwk.RemoteSet {
	tb.Helper()
	c.URL, c.Client = "https://id.example.com/jwks", &http.Client{Transport: a}
	r, err := jwk.NewRemoteSet(c)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func has(tb testing.TB, r *jwk.RemoteSet, kid string) {
	tb.Helper()
	if keys, err := r.Keys(tb.Context(), kid); err != nil || len(keys) != 1 || keys[0].ID() != kid {
		tb.Errorf("%s: got %v, %v", kid, keys, err)
	}
}

func hasNot(tb testing.TB, r *jwk.RemoteSet, kid string, want error) {
	tb.Helper()
	if keys, err := r.Keys(tb.Context(), kid); !errors.Is(err, want) {
		tb.Errorf("%s: got %v, %v, want %v", kid, keys, err, want)
	}
}

// Many requests arrive before the first answer: one fetch serves them all.
func TestJW_32_SingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{set: newSet(t, withID(t, generate(t, jwk.Ed25519), "1")), delay: time.Second}
		r := remote(t, a, jwk.RemoteConfig{})
		if r.Fetches() != 0 || r.Held() != nil {
			t.Fatal("not lazy")
		}
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { has(t, r, "1") })
		}
		wg.Wait()
		if r.Fetches() != 1 || a.most.Load() != 1 {
			t.Errorf("%d fetches, %d at once", r.Fetches(), a.most.Load())
		}
	})
}

// Tokens with made-up kids: one fetch per cool-down, and nobody waits, whether
// the authority is quick, slow, or failing.
func TestJW_32_RandomKidStorm(t *testing.T) {
	for name, trouble := range map[string]func(*authority){
		"quick":   func(*authority) {},
		"slow":    func(a *authority) { a.delay = 9 * time.Second },
		"hanging": func(a *authority) { a.delay = time.Hour },
		"failing": func(a *authority) { a.err = errors.New("connection refused") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &authority{set: newSet(t, withID(t, generate(t, jwk.Ed25519), "1"))}
				r := remote(t, a, jwk.RemoteConfig{Wait: -1, MaxAge: time.Hour})
				has(t, r, "1")
				a.change(func() { trouble(a) })
				const tokens, perSecond = 100_000, 1000
				start := time.Now()
				var wg sync.WaitGroup
				for i := range tokens {
					if i%perSecond == 0 {
						time.Sleep(time.Second)
					}
					wg.Go(func() {
						before := time.Now()
						hasNot(t, r, fmt.Sprintf("made-up-%d", i), jwk.ErrUnknownKey)
						if waited := time.Since(before); waited != 0 {
							t.Errorf("a request waited %v", waited)
						}
					})
				}
				wg.Wait()
				has(t, r, "1")
				synctest.Wait()
				coolDowns := uint64(time.Since(start)/(30*time.Second)) + 1
				if got := r.Fetches(); got > coolDowns || got < 2 {
					t.Errorf("%d fetches in %v, want 2 to %d", got, time.Since(start), coolDowns)
				}
				if a.most.Load() != 1 {
					t.Errorf("%d fetches at once", a.most.Load())
				}
				time.Sleep(time.Minute) // let a hanging fetch end inside the bubble
			})
		})
	}
}

// The one request whose kid starts a refetch finds a key that was rotated in
// without notice; the others are refused without waiting for it.
func TestJW_32_UnknownKidRefetchesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := withID(t, generate(t, jwk.Ed25519), "1"), withID(t, generate(t, jwk.Ed25519), "2")
		a := &authority{set: newSet(t, one)}
		r := remote(t, a, jwk.RemoteConfig{})
		has(t, r, "1")
		hasNot(t, r, "2", jwk.ErrUnknownKey)
		if r.Fetches() != 1 {
			t.Errorf("%d fetches inside the cool-down, want 1", r.Fetches())
		}
		time.Sleep(30 * time.Second)
		a.change(func() { a.set, a.delay = newSet(t, one, two), 100*time.Millisecond })
		go has(t, r, "2")
		synctest.Wait()
		before := time.Now()
		hasNot(t, r, "2", jwk.ErrUnknownKey)
		has(t, r, "1")
		if time.Since(before) != 0 {
			t.Error("a request waited behind another's fetch")
		}
		time.Sleep(time.Second)
		has(t, r, "2")
		if r.Fetches() != 2 {
			t.Errorf("%d fetches, want 2", r.Fetches())
		}
		// Wait bounds even the request that started it.
		time.Sleep(time.Minute)
		a.change(func() { a.delay = 5 * time.Second })
		before = time.Now()
		hasNot(t, r, "3", jwk.ErrUnknownKey)
		if waited := time.Since(before); waited != time.Second {
			t.Errorf("waited %v, want 1s", waited)
		}
		time.Sleep(10 * time.Second)
	})
}

func TestJW_32_KeepsLastGoodSet(t *testing.T) {
	one := withID(t, generate(t, jwk.Ed25519), "1")
	for name, fail := range map[string]func(*authority){
		"refused":    func(a *authority) { a.err = errors.New("refused") },
		"status 500": func(a *authority) { a.status = 500 },
		"status 404": func(a *authority) { a.status = 404 },
		"hanging":    func(a *authority) { a.delay = time.Hour },
		"bad 304":    func(a *authority) { a.status = 304 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var failures atomic.Int32
				a := &authority{set: newSet(t, one)}
				r := remote(t, a, jwk.RemoteConfig{OnError: func(error) { failures.Add(1) }})
				has(t, r, "1")
				a.change(func() { fail(a) })
				for range 24 * 60 {
					time.Sleep(time.Minute)
					before := time.Now()
					has(t, r, "1")
					if time.Since(before) != 0 {
						t.Fatal("a request waited for a refresh")
					}
				}
				synctest.Wait()
				if failures.Load() < 100 {
					t.Errorf("%d failures reported", failures.Load())
				}
				a.change(func() { a.err, a.status, a.delay = nil, 0, 0; a.set = newSet(t, withID(t, one, "2")) })
				time.Sleep(time.Minute)
				_, _ = r.Keys(t.Context(), "1")
				synctest.Wait()
				has(t, r, "2") // and recovers by itself
			})
		})
	}
}

func TestJW_32_FirstLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{set: newSet(t, withID(t, generate(t, jwk.Ed25519), "1")), delay: 5 * time.Second}
		r := remote(t, a, jwk.RemoteConfig{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		before := time.Now()
		if _, err := r.Keys(ctx, "1"); !errors.Is(err, jwk.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want ErrUnavailable by deadline", err)
		}
		if time.Since(before) != time.Second {
			t.Error("the context did not bound the wait")
		}
		time.Sleep(5 * time.Second)
		has(t, r, "1") // the fetch went on without its caller
		if r.Fetches() != 1 {
			t.Errorf("%d fetches", r.Fetches())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		a := &authority{set: newSet(t, withID(t, generate(t, jwk.Ed25519), "1")), err: errors.New("not up yet")}
		r := remote(t, a, jwk.RemoteConfig{})
		for range 10_000 { // one failing fetch, not ten thousand
			hasNot(t, r, "1", jwk.ErrUnavailable)
		}
		if r.Fetches() != 1 {
			t.Errorf("%d fetches, want 1", r.Fetches())
		}
		a.change(func() { a.err = nil })
		time.Sleep(time.Second)
		has(t, r, "1")
	})
}

func TestRemoteSet_CacheControlAndETag(t *testing.T) {
	for _, c := range []struct {
		header string
		fresh  time.Duration
	}{
		{"", 10 * time.Minute},
		{"public, max-age=300", 5 * time.Minute},
		{`Public,MAX-AGE="120"`, 2 * time.Minute},
		{"max-age=86400", 10 * time.Minute},
		{"max-age=0", 30 * time.Second},
		{"no-store", 30 * time.Second},
		{"max-age=-1", 10 * time.Minute},
		{"max-age=x", 10 * time.Minute},
	} {
		t.Run(c.header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &authority{set: newSet(t, withID(t, generate(t, jwk.Ed25519), "1")), header: http.Header{"Etag": {`"v1"`}}}
				if c.header != "" {
					a.header.Set("Cache-Control", c.header)
				}
				r := remote(t, a, jwk.RemoteConfig{})
				has(t, r, "1")
				for round := range uint64(3) {
					time.Sleep(c.fresh - time.Nanosecond)
					has(t, r, "1")
					synctest.Wait()
					if r.Fetches() != round+1 {
						t.Fatalf("%d fetches before it was stale, want %d", r.Fetches(), round+1)
					}
					time.Sleep(time.Nanosecond)
					has(t, r, "1")
					synctest.Wait()
					if r.Fetches() != round+2 {
						t.Fatalf("%d fetches after it was stale, want %d", r.Fetches(), round+2)
					}
				}
				if got := a.seen[len(a.seen)-1].Header.Get("If-None-Match"); got != `"v1"` {
					t.Errorf("If-None-Match %q", got)
				}
			})
		})
	}
}

func TestRemoteSet_ReplaceAndPrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := withID(t, generate(t, jwk.Ed25519), "1"), withID(t, generate(t, jwk.Ed25519), "2")
		a := &authority{set: newSet(t, one), delay: time.Second}
		r := remote(t, a, jwk.RemoteConfig{})
		if err := r.Prefetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		has(t, r, "1")
		// A key is taken out while an answer that still has it is under way.
		done := make(chan error)
		go func() { done <- r.Prefetch(t.Context()) }()
		synctest.Wait()
		r.Replace(newSet(t, two))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		hasNot(t, r, "1", jwk.ErrUnknownKey)
		has(t, r, "2")
		if r.Held().Len() != 1 {
			t.Error("the older answer came back")
		}
		a.change(func() { a.err = errors.New("down") })
		if err := r.Prefetch(t.Context()); err == nil {
			t.Error("a failed prefetch says nothing")
		}
		has(t, r, "2")
	})
}

// Who knows that keys have changed says so: what is held goes on verifying, but rules
// no kid out before it was fetched again, and nobody waits who did not begin the fetch.
func TestRemoteSet_Invalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := withID(t, generate(t, jwk.Ed25519), "1"), withID(t, generate(t, jwk.Ed25519), "2")
		a := &authority{set: newSet(t, one)}
		r := remote(t, a, jwk.RemoteConfig{})
		r.Invalidate() // before there is anything
		has(t, r, "1")
		if !r.Fresh() {
			t.Error("not fresh after a fetch")
		}
		a.change(func() { a.err = errors.New("down") })
		r.Invalidate()
		if r.Fresh() {
			t.Error("fresh although it was invalidated")
		}
		has(t, r, "1")
		synctest.Wait()
		before := time.Now()
		hasNot(t, r, "2", jwk.ErrUnavailable)
		hasNot(t, r, "3", jwk.ErrUnavailable)
		if time.Since(before) != 0 {
			t.Error("a request waited")
		}
		a.change(func() { a.err, a.set, a.delay = nil, newSet(t, one, two), 100*time.Millisecond })
		time.Sleep(2 * time.Second)
		has(t, r, "2") // the one whose request begins the fetch waits for it
		hasNot(t, r, "3", jwk.ErrUnknownKey)

		// A fetch that was under way when it was invalidated does not count.
		a.change(func() { a.delay = time.Second })
		done := make(chan error)
		go func() { done <- r.Prefetch(t.Context()) }()
		synctest.Wait()
		r.Invalidate()
		if err := <-done; err != nil || r.Fresh() {
			t.Errorf("an answer of before the change: %v, fresh %v", err, r.Fresh())
		}
		time.Sleep(time.Minute)
	})
}

func TestRemoteSet_URL(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://id.example.com/jwks": true, "http://127.0.0.1:8080/jwks": true, "http://[::1]/jwks": true, "http://localhost/jwks": true,
		"http://id.example.com/jwks": false, "http://127.0.0.1.example.com/": false, "file:///etc/keys": false, "https:///jwks": false,
		"": false, "ftp://localhost/": false, "https://user:secret@id.example.com/": false, "http://10.0.0.1/": false, "%": false,
	} {
		if _, err := jwk.NewRemoteSet(jwk.RemoteConfig{URL: url}); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := jwk.NewRemoteSet(jwk.RemoteConfig{URL: "http://id.example.com/", InsecureHTTP: true}); err != nil {
		t.Error(err)
	}
	if _, err := jwk.NewRemoteSet(jwk.RemoteConfig{URL: "https://id.example.com/", CoolDown: -1}); err == nil {
		t.Error("negative cool-down")
	}
}

// A real server: redirects, oversized answers, wrong content.
func TestRemoteSet_Server(t *testing.T) {
	k := withID(t, generate(t, jwk.ES256), "1")
	mux := http.NewServeMux()
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(newSet(t, k)) })
	mux.Handle("/moved", http.RedirectHandler("/jwks", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/outside", http.RedirectHandler("http://id.example.com/jwks", http.StatusFound))
	mux.Handle("/file", http.RedirectHandler("file:///etc/passwd", http.StatusFound))
	var chunks atomic.Int32
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write([]byte(strings.Repeat(" ", 1<<16))); err != nil {
				return
			}
			chunks.Add(1)
		}
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>sign in</html>") })
	server := httptest.NewServer(mux)
	defer server.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(server.URL+"/jwks", http.StatusFound))
	defer secure.Close()

	for path, ok := range map[string]bool{"/jwks": true, "/moved": true, "/loop": false, "/outside": false, "/file": false, "/endless": false, "/html": false, "/missing": false} {
		r, err := jwk.NewRemoteSet(jwk.RemoteConfig{URL: server.URL + path})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Keys(t.Context(), "1")
		if (err == nil) != ok || err != nil && !errors.Is(err, jwk.ErrUnavailable) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if n := chunks.Load(); n > 1000 { // buffers of the connection included
		t.Errorf("read %d kB of an endless answer", n*64)
	}
	r, err := jwk.NewRemoteSet(jwk.RemoteConfig{URL: secure.URL, Client: secure.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Keys(t.Context(), "1"); err == nil {
		t.Error("followed a redirect from https to http")
	}
}
