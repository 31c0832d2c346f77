package bff_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/bff"
	"github.com/jetonhq/jeton/client"
)

var oneKey = client.NewSecret(strings.Repeat("k", 32))

// inDirectory has the app keep its sessions in dir.
func inDirectory(dir string) func(*bff.Config) {
	return func(c *bff.Config) {
		store, err := bff.OpenDirectory(dir)
		if err != nil {
			panic(err)
		}
		c.Store, c.Keys = store, []client.Secret{oneKey}
	}
}

// second is another server for the same browsers, at its own address.
func (w *world) second(edit ...func(*bff.Config)) *httptest.Server {
	w.t.Helper()
	c := w.config
	for _, f := range edit {
		f(&c)
	}
	app, err := bff.New(c)
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, app.Close()) })
	s := httptest.NewServer(app)
	w.t.Cleanup(s.Close)
	return s
}

// at asks another server with this browser's cookie.
func (b *browser) at(s *httptest.Server, path string) told {
	b.t.Helper()
	return b.world.browser().do(http.MethodGet, s.URL+path, "", "Cookie", "jeton-bff="+b.cookie())
}

// intercept has the authority's token endpoint answered by f, which may call next.
func (w *world) intercept(f func(next http.Handler, rw http.ResponseWriter, r *http.Request)) {
	next := w.server.Handler()
	w.authority.set(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			f(next, rw, r)
			return
		}
		next.ServeHTTP(rw, r)
	}))
}

func TestDirectory_RestartKeepsPeopleSignedIn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions")
	w := newWorld(t, inDirectory(dir))
	b := w.browser().signIn()
	inDirectory(dir)(&w.config)
	w.start()
	b.wantSession("after a restart", true)
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
	w.clock.advance(10 * time.Minute)
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
}

// The first key seals, and all open. Without the one it was sealed with, a session is none, and the cookie stays.
func TestKeys_Rotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions")
	w := newWorld(t, inDirectory(dir))
	b := w.browser().signIn()
	later := client.NewSecret(strings.Repeat("l", 32))
	w.config.Keys = []client.Secret{later, oneKey}
	w.start()
	b.wantSession("with both keys", true)
	w.config.Keys = []client.Secret{later}
	w.start()
	b.wantSession("without the old key", false)
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusUnauthorized, jeton.ReasonNoSession)
	w.config.Keys = []client.Secret{later, oneKey}
	w.start()
	w.clock.advance(10 * time.Minute)
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "") // refreshed, and so sealed anew
	w.config.Keys = []client.Secret{later}
	w.start()
	b.wantSession("sealed with the new key", true)
}

// Two servers refresh once between them.
func TestShared_OneRefresh(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions")
	w := newWorld(t, inDirectory(dir))
	other := w.second(inDirectory(dir))
	b := w.browser().signIn()
	for range 3 {
		before := w.authority.count("/token")
		w.clock.advance(10 * time.Minute)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "") })
			all.Go(func() { b.at(other, "/api/x").wants(t, http.StatusOK, "") })
		}
		all.Wait()
		if n := w.authority.count("/token") - before; n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
	}
}

// A lost answer is asked for once more, and is the same.
func TestRefresh_LostAnswer(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	var lost atomic.Int32
	w.intercept(func(next http.Handler, rw http.ResponseWriter, r *http.Request) {
		if lost.Add(1) == 1 {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(rw, r)
	})
	for range 3 {
		w.clock.advance(10 * time.Minute)
		b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
	}
}

// A server that is cut off while it refreshes holds the others up no longer than its lease, and what it hears in
// the end does not end the session that others have carried on.
func TestShared_LostRaceEndsNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions")
	w := newWorld(t, inDirectory(dir))
	b := w.browser().signIn()
	stuck, release := make(chan struct{}), make(chan struct{})
	w.intercept(func(_ http.Handler, rw http.ResponseWriter, _ *http.Request) {
		close(stuck)
		<-release
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = rw.Write([]byte(`{"error":"invalid_grant"}`))
	})
	w.clock.advance(10 * time.Minute)
	first := make(chan told)
	go func() { first <- b.do(http.MethodGet, "/api/x", "") }()
	<-stuck
	w.open()
	other := w.second(inDirectory(dir))
	waited := make(chan told)
	go func() { waited <- b.at(other, "/api/x") }()
	w.clock.advance(30 * time.Second) // the lease is over
	(<-waited).wants(t, http.StatusOK, "")
	close(release)
	(<-first).wants(t, http.StatusOK, "")
	b.wantSession("after the lost race", true)
	w.clock.advance(10 * time.Minute)
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
}

// failing is a store that cannot write for a while.
type failing struct {
	bff.Store
	fail atomic.Bool
	lose atomic.Bool // written, and yet an error
}

func (f *failing) EndSession(ctx context.Context, id bff.Digest) (int, error) {
	if f.fail.Load() {
		return 0, errors.New("disk full")
	}
	return f.Store.EndSession(ctx, id)
}

func (f *failing) Replace(ctx context.Context, key bff.Digest, r bff.Record) error {
	switch {
	case f.fail.Load():
		return errors.New("disk full")
	case f.lose.Load():
		_ = f.Store.Replace(ctx, key, r)
		return errors.New("the answer was lost")
	}
	return f.Store.Replace(ctx, key, r)
}

// A refreshed token that could not be stored is used for the requests that wait, and signs nobody out: neither if
// it was not stored, nor if it was and nobody knows.
func TestRefresh_StoreFails(t *testing.T) {
	for _, how := range []string{"not stored", "stored anyway"} {
		t.Run(how, func(t *testing.T) {
			store := &failing{Store: bff.NewMemoryStore(0)}
			w := newWorld(t, func(c *bff.Config) { c.Store, c.Keys = store, []client.Secret{oneKey} })
			b := w.browser().signIn()
			w.intercept(func(next http.Handler, rw http.ResponseWriter, r *http.Request) {
				store.fail.Store(how == "not stored")
				store.lose.Store(how == "stored anyway")
				next.ServeHTTP(rw, r)
			})
			w.clock.advance(10 * time.Minute)
			b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
			store.fail.Store(false)
			store.lose.Store(false)
			w.open()
			for range 3 {
				w.clock.advance(10 * time.Minute)
				b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
			}
		})
	}
}

// Who signs out while a token is refreshed is signed out, and the new token's grant is ended too.
func TestRefresh_SignOutMeanwhile(t *testing.T) {
	w := newWorld(t)
	b := w.browser().signIn()
	stuck, release := make(chan struct{}), make(chan struct{})
	w.intercept(func(next http.Handler, rw http.ResponseWriter, r *http.Request) {
		close(stuck)
		<-release
		next.ServeHTTP(rw, r)
	})
	w.clock.advance(10 * time.Minute)
	cookie := b.cookie()
	first := make(chan told)
	go func() { first <- b.do(http.MethodGet, "/api/x", "") }()
	<-stuck
	if a := b.do(http.MethodPost, "/auth/sign-out", ""); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	close(release)
	(<-first).wants(t, http.StatusUnauthorized, jeton.ReasonNoSession)
	w.browser().do(http.MethodGet, "/api/x", "", "Cookie", "jeton-bff="+cookie).wants(t, http.StatusUnauthorized, jeton.ReasonNoSession)
}

// A session without a refresh token lasts as long as its access token.
func TestRefresh_NoRefreshToken(t *testing.T) {
	w := newWorld(t)
	w.intercept(func(next http.Handler, rw http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		rw.Header().Set("Content-Type", "application/json")
		_, _ = rw.Write([]byte(strings.Replace(rec.Body.String(), `"refresh_token"`, `"nothing"`, 1)))
	})
	b := w.browser().signIn()
	w.clock.advance(4*time.Minute + 50*time.Second)
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusOK, "")
	b.wantSession("shortly before", true)
	w.clock.advance(20 * time.Second)
	b.do(http.MethodGet, "/api/x", "").wants(t, http.StatusUnauthorized, jeton.ReasonNoSession)
}
