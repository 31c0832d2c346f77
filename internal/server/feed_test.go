package server_test

import (
	"context"
	"database/sql"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

func TestFeed_BeginsWhereTheReaderIs(t *testing.T) {
	w := newWorld(t, options{})
	origin, _ := w.listen(nil)
	for _, token := range w.machines(3) {
		w.end(token)
	}
	home := w.head().Incarnation
	for _, test := range []struct{ name, at, want string }{
		{"nothing yet", "", "snapshot heartbeat"},
		{"another life of the log", "other-2", "snapshot heartbeat"},
		{"ahead of the log", home + "-4", "snapshot heartbeat"},
		{"from the beginning", home + "-0", "delta heartbeat"},
		{"one behind", home + "-2", "delta heartbeat"},
		{"up to date", home + "-3", "heartbeat"},
	} {
		for name, client := range map[string]*http.Client{"HTTP/1.1": overHTTP1(t), "HTTP/2": overHTTP2(t)} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				s := w.mustSubscribe(client, origin, test.at)
				if got := s.response.Proto; !strings.HasPrefix(got, name) {
					t.Fatalf("got %s", got)
				}
				for header, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
					if got := s.response.Header.Get(header); got != want {
						t.Errorf("%s: got %q, want %q", header, got, want)
					}
				}
				read := s.until(t, isHeartbeat)
				if got := kinds(read); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				if beat := read[len(read)-1]; beat.Incarnation != home || beat.Seq != 3 {
					t.Errorf("heartbeat at %s-%d, want %s-3", beat.Incarnation, beat.Seq, home)
				}
				s.close()
			})
		}
	}
}

// Entries that the log has forgotten cannot be told one by one. A new process
// does not have them in memory either.
func TestFeed_FarBehind(t *testing.T) {
	w := newWorld(t, options{})
	for _, token := range w.machines(3) {
		w.end(token)
	}
	before := w.head()
	w.clock.advance(3 * time.Hour)
	swept, err := w.parts.Store.Sweep(t.Context(), w.clock.Now(), 0, 1000)
	must(t, err)
	if swept.LogEntries != 3 {
		t.Fatalf("%d entries forgotten, want 3", swept.LogEntries)
	}
	w.stop()
	w.start()
	w.end(w.machine())
	for at, want := range map[string]string{"-1": "snapshot heartbeat", "-3": "delta heartbeat"} {
		read := w.mustSubscribe(overHTTP1(t), w.origin, before.Incarnation+at).until(t, isHeartbeat)
		if got := kinds(read); got != want || len(read[0].Entries) != 1 || read[0].Entries[0].Seq != 4 {
			t.Errorf("from %s: got %q, %+v; want %q with number 4", at, got, read[0].Entries, want)
		}
	}
}

// Connections break while 64 people revoke. Nobody who resumes misses a number
// or gets one twice.
func TestFeed_ResumeWithoutLossWhile64Revoke(t *testing.T) {
	w := newWorld(t, options{})
	origin, _ := w.listen(nil)
	const revokers, each, readers = 64, 4, 8
	tokens := w.machines(revokers * each)
	first := w.mustSubscribe(overHTTP1(t), origin, "")
	first.until(t, isHeartbeat)
	begin := first.lastID

	var work sync.WaitGroup
	cuts := make([]int, readers)
	for i := range readers {
		client := overHTTP1(t)
		if i%2 == 1 {
			client = overHTTP2(t)
		}
		work.Go(func() {
			at, seen := begin, uint64(0)
			for seen < revokers*each {
				s, err := w.subscribe(client, origin, at)
				if err != nil {
					t.Error(err)
					return
				}
				for range 1 + rand.IntN(6) {
					m, err := s.next()
					if err != nil {
						t.Error(err)
						s.close()
						return
					}
					if m.Type == revocation.SnapshotPart {
						t.Errorf("reader %d: a snapshot at %s", i, at)
					}
					for _, e := range m.Entries {
						if e.Seq != seen+1 {
							t.Errorf("reader %d: number %d after %d", i, e.Seq, seen)
						}
						seen = e.Seq
					}
				}
				at = s.lastID
				s.close()
				cuts[i]++
			}
		})
	}
	for i := range revokers {
		work.Go(func() {
			for _, token := range tokens[i*each : (i+1)*each] {
				w.revoke("machine", token, "access_token")
			}
		})
	}
	work.Wait()
	t.Logf("connections that were cut, by reader: %v", cuts)
}

func TestFeed_HeartbeatsGoOnInAStreamOfEntries(t *testing.T) {
	w := newWorld(t, options{runs: true, edit: func(c *config.Config) { c.Feed.Heartbeat = 500 * time.Millisecond }})
	origin, _ := w.listen(nil)
	tokens := w.machines(200)
	s := w.mustSubscribe(overHTTP1(t), origin, "")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, token := range tokens {
			if ctx.Err() != nil {
				return
			}
			w.end(token)
			time.Sleep(20 * time.Millisecond)
		}
	}()
	var beats []time.Time
	deltas := 0
	for began := time.Now(); time.Since(began) < 3500*time.Millisecond; {
		m, err := s.next()
		must(t, err)
		switch m.Type {
		case revocation.Heartbeat:
			beats = append(beats, time.Now())
		case revocation.Delta:
			deltas++
		case revocation.SnapshotPart, revocation.Other:
		}
	}
	stop()
	<-done
	t.Logf("%d heartbeats, %d deltas in 3.5 s", len(beats), deltas)
	if len(beats) < 4 || deltas < 20 {
		t.Errorf("%d heartbeats among %d deltas", len(beats), deltas)
	}
	for i := 1; i < len(beats); i++ {
		if gap := beats[i].Sub(beats[i-1]); gap > 1500*time.Millisecond {
			t.Errorf("%v without a heartbeat", gap)
		}
	}
}

// A node that cannot read its log keeps quiet, so that guards stop trusting it.
func TestFeed_QuietWhileTheLogCannotBeRead(t *testing.T) {
	w := newWorld(t, options{runs: true})
	origin, _ := w.listen(nil)
	s := w.mustSubscribe(overHTTP1(t), origin, "")
	s.until(t, isHeartbeat)
	var mu sync.Mutex
	var last time.Time
	beats := 0
	go func() {
		for {
			m, err := s.next()
			if err != nil {
				return
			}
			mu.Lock()
			if last = time.Now(); m.Type == revocation.Heartbeat {
				beats++
			}
			mu.Unlock()
		}
	}()
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return beats
	}
	db, err := sql.Open("sqlite", "file:"+w.file+"?_pragma=busy_timeout(10000)")
	must(t, err)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(t.Context(), `ALTER TABLE meta RENAME TO gone`)
	must(t, err)
	broken := time.Now()
	// 50 ms between heartbeats here, and twice that until what was known is too old.
	time.Sleep(time.Second)
	before := count()
	time.Sleep(time.Second)
	if got := count() - before; got != 0 {
		t.Errorf("%d heartbeats from a node that cannot read its log", got)
	}
	mu.Lock()
	t.Logf("quiet %v after the log was gone", last.Sub(broken))
	mu.Unlock()
	if a := w.do(w.request(http.MethodGet, w.manage+"/readyz", "")); a.status != http.StatusServiceUnavailable {
		t.Errorf("readiness says %d", a.status)
	}
	if r, err := w.subscribe(overHTTP1(t), origin, ""); err == nil {
		r.close()
		t.Error("a new subscriber is let in without a snapshot")
	}
	_, err = db.ExecContext(t.Context(), `ALTER TABLE gone RENAME TO meta`)
	must(t, err)
	eventually(t, "heartbeats again", 20*time.Second, func() bool { return count() > before })
}

func TestFeed_LongPoll(t *testing.T) {
	w := newWorld(t, options{})
	origin, stop := w.listen(nil)
	poll := func(query string) answer {
		t.Helper()
		r := w.request(http.MethodGet, origin+"/revocations?"+query, "")
		r.SetBasicAuth("reports-api", w.keys["reports-api"])
		return w.do(r)
	}
	parse := func(a answer) revocation.Poll {
		t.Helper()
		if a.ok(); a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("header %v", a.header)
		}
		p, err := revocation.ParsePoll([]byte(a.body))
		must(t, err)
		return p
	}
	tokens := w.machines(3)
	home := w.head().Incarnation
	if p := parse(poll("wait=30s")); !p.Snapshot || p.Seq != 0 || len(p.Entries) != 0 {
		t.Errorf("without a place: %+v", p)
	}
	if p := parse(poll("wait=50ms&after=" + home + "-0")); p.Snapshot || p.Seq != 0 || len(p.Entries) != 0 || p.Time.IsZero() {
		t.Errorf("nothing new: %+v", p)
	}
	// One that waits is answered when something comes, long before its time is over.
	began := time.Now()
	time.AfterFunc(100*time.Millisecond, func() { w.end(tokens[0]) })
	if p := parse(poll("wait=30s&after=" + home + "-0")); p.Snapshot || p.Seq != 1 || len(p.Entries) != 1 {
		t.Errorf("something new: %+v", p)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("answered after %v", took)
	}
	w.end(tokens[1])
	if p := parse(poll("wait=30s&after=" + home + "-0")); p.Snapshot || p.Seq != 2 || len(p.Entries) != 2 {
		t.Errorf("two behind: %+v", p)
	}
	if p := parse(poll("wait=30s&after=other-2")); !p.Snapshot || p.Seq != 2 || len(p.Entries) != 2 {
		t.Errorf("another life: %+v", p)
	}
	for _, query := range []string{"wait=soon", "wait=-1s", "wait=", "wait=1s&after=x", "wait=1s&after=" + home + "-01", "after=-"} {
		poll(query).refused(http.StatusBadRequest, oauth.InvalidRequest)
	}
	// A poll that waits is answered when the server stops, and not cut off.
	waiting := make(chan answer, 1)
	go func() { waiting <- poll("wait=30s&after=" + home + "-2") }()
	time.Sleep(200 * time.Millisecond)
	began = time.Now()
	must(t, stop())
	if p := parse(<-waiting); p.Seq != 2 || p.Snapshot {
		t.Errorf("at the stop: %+v", p)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

func TestFeed_OnlyResources(t *testing.T) {
	w := newWorld(t, options{})
	for _, test := range []struct {
		name, id, key string
		status        int
		code          oauth.Code
	}{
		{"nobody", "", "", http.StatusUnauthorized, oauth.InvalidClient},
		{"a public client", "spa", "", http.StatusUnauthorized, oauth.InvalidClient},
		{"an unknown client", "ghost", "secret", http.StatusUnauthorized, oauth.InvalidClient},
		{"a wrong secret", "reports-api", "secret", http.StatusUnauthorized, oauth.InvalidClient},
		{"no secret", "reports-api", "", http.StatusUnauthorized, oauth.InvalidClient},
		{"a client of no resource", "machine", w.keys["machine"], http.StatusForbidden, oauth.UnauthorizedClient},
		{"another client of no resource", "web", w.keys["web"], http.StatusForbidden, oauth.UnauthorizedClient},
	} {
		for _, path := range []string{"/revocations", "/revocations?wait=1s"} {
			t.Run(test.name+" "+path, func(t *testing.T) {
				r := w.request(http.MethodGet, path, "")
				if test.id != "" {
					r.SetBasicAuth(test.id, test.key)
				}
				w.do(r).refused(test.status, test.code)
			})
		}
	}
	r := w.request(http.MethodGet, "/revocations", "")
	r.Header.Set("Authorization", "Bearer "+w.machine())
	if a := w.do(r); a.status != http.StatusForbidden || a.header.Get("Jeton-Reason") != "insufficient_scope" {
		t.Errorf("somebody's access token: %d %s", a.status, a.header.Get("Jeton-Reason"))
	}
	if a := w.form("/revocations", "reports-api"); a != nil {
		if got := w.do(a); got.status != http.StatusMethodNotAllowed {
			t.Errorf("POST: %d", got.status)
		}
	}
	if n := w.gauge("jeton_feed_subscribers"); n != 0 {
		t.Errorf("%v subscribers", n)
	}
}

// Streams end when the server stops, and the stop waits for none of them.
func TestFeed_EndsWithTheServer(t *testing.T) {
	w := newWorld(t, options{})
	origin, stop := w.listen(nil)
	var streams []*subscriber
	for _, client := range []*http.Client{overHTTP1(t), overHTTP2(t)} {
		for range 5 {
			s := w.mustSubscribe(client, origin, "")
			s.until(t, isHeartbeat)
			streams = append(streams, s)
		}
	}
	began := time.Now()
	must(t, stop())
	for _, s := range streams {
		for {
			if _, err := s.next(); err != nil {
				if err != io.EOF {
					t.Errorf("a stream ends with %v", err)
				}
				break
			}
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

// A resource's client may follow with an access token of its own, where its
// secret should not travel. Revoking the token ends that.
func TestFeed_AccessTokenOfTheResource(t *testing.T) {
	w := newWorld(t, options{})
	client, err := w.parts.Clients.Lookup(t.Context(), "reports-api")
	must(t, err)
	spec := clients.SpecOf(client)
	spec.GrantTypes, spec.Scope = []string{oauth.ClientCredentials}, []string{"jeton:feed"}
	_, err = w.parts.Clients.Update(t.Context(), authority.System, client.ID, spec, "test")
	must(t, err)
	token, _ := w.post("/token", client.ID, "grant_type", oauth.ClientCredentials).json["access_token"].(string)
	follow := func() answer {
		r := w.request(http.MethodGet, "/revocations?wait=1ms", "")
		r.Header.Set("Authorization", "Bearer "+token)
		return w.do(r)
	}
	if a := follow(); a.status != http.StatusOK || a.json["incarnation"] == "" {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	must(t, w.parts.Tokens.RevokeToken(t.Context(), token, authority.System, "test"))
	if a := follow(); a.status != http.StatusUnauthorized || a.header.Get("Jeton-Reason") != "revoked" {
		t.Errorf("after the token was revoked: status %d, reason %q", a.status, a.header.Get("Jeton-Reason"))
	}
}
