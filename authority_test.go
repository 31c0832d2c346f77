package jeton

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

const (
	testIssuer   = "https://id.example.com"
	testAudience = "https://api.example.com/v1"
	apiClient    = "reports-api"
	apiSecret    = "a secret of the api: %+/"
)

// fakeAuthority is an authority as far as a guard sees it: keys, feed and registry, on an http.RoundTripper,
// so that it works with the fake time of testing/synctest.
type fakeAuthority struct {
	t   testing.TB
	key *jwk.Key

	mu          sync.Mutex
	published   []*jwk.Key
	incarnation string
	log         []revocation.Entry
	changed     chan struct{} // closed at each change
	issued      map[revocation.ID]revocation.ID
	dead        map[revocation.ID]string
	down        bool // connections are refused
	mute        bool // the feed sends nothing
	hold        bool // the registry does not answer
	cut         chan struct{}
	keyFetches  int
	keysDown    bool   // the key set cannot be had
	held        string // what a guard last said it holds
	trips       []int  // tokens in each question
	seenCreds   string
	uses        map[revocation.ID]int64 // left
	counted     map[revocation.Use]bool
	lose        int   // so many answers about uses are lost
	consumed    []int // uses in each question
}

func newFakeAuthority(t testing.TB) *fakeAuthority {
	key, err := jwk.Generate(jwk.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return &fakeAuthority{
		t:           t,
		key:         key,
		published:   []*jwk.Key{key},
		incarnation: revocation.NewIncarnation(),
		changed:     make(chan struct{}),
		cut:         make(chan struct{}),
		issued:      make(map[revocation.ID]revocation.ID),
		dead:        make(map[revocation.ID]string),
		uses:        make(map[revocation.ID]int64),
		counted:     make(map[revocation.Use]bool),
	}
}

// change runs f under the lock and wakes all who wait.
func (a *fakeAuthority) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *fakeAuthority) setDown(down bool) {
	a.change(func() {
		a.down = down
		if down {
			close(a.cut)
			a.cut = make(chan struct{})
		}
	})
}

func (a *fakeAuthority) setMute(mute bool) { a.change(func() { a.mute = mute }) }
func (a *fakeAuthority) setHold(hold bool) { a.change(func() { a.hold = hold }) }

func (a *fakeAuthority) tripCount() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.trips)
}

// append adds an entry to the log.
func (a *fakeAuthority) append(e revocation.Entry) {
	a.change(func() {
		e.Seq = uint64(len(a.log) + 1)
		e.Until = time.Now().Add(time.Hour).Unix()
		a.log = append(a.log, e)
	})
}

func (a *fakeAuthority) revoke(kind revocation.Kind, id string) {
	parsed, err := revocation.ParseID(id)
	if err != nil {
		a.t.Fatal(err)
	}
	a.append(revocation.Entry{Kind: kind, ID: parsed, Reason: "test"})
}

// newID is time-ordered like the authority's.
func newID() string {
	var id revocation.ID
	_, _ = rand.Read(id[:])
	binary.BigEndian.PutUint64(id[:], uint64(time.Now().UnixMilli())<<16|uint64(id[0])<<8|uint64(id[1]))
	return id.String()
}

// claims are those of a good token.
func goodClaims() jwt.Claims {
	now := time.Now().Unix()
	return jwt.Claims{
		Issuer: testIssuer, Subject: newID(), Audience: []string{testAudience}, ClientID: "web",
		IssuedAt: now, ExpiresAt: now + 300, ID: newID(), GrantID: newID(), SessionID: newID(),
		Scope: "openid reports:read profile",
	}
}

// mint issues a token: good claims, changed as the test likes.
func (a *fakeAuthority) mint(changes ...func(*jwt.Claims)) string {
	c := goodClaims()
	for _, change := range changes {
		change(&c)
	}
	token := a.sign("at+jwt", &c)
	a.register(token, c.ID)
	if id, err := revocation.ParseID(c.ID); err == nil {
		a.change(func() { a.uses[id] = c.Uses })
	}
	return token
}

func (a *fakeAuthority) sign(typ string, c *jwt.Claims) string {
	token, err := jwt.Sign(a.key, typ, c)
	if err != nil {
		a.t.Fatal(err)
	}
	return token
}

func (a *fakeAuthority) register(token, jti string) {
	id, err := revocation.ParseID(jti)
	if err != nil {
		return
	}
	sum := sha256.Sum256([]byte(token))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issued[id] = revocation.ID(sum[:16])
}

// claimsOf reads a token without checking it.
func claimsOf(t testing.TB, token string) *jwt.Claims {
	u, err := jwt.Parse(token, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &u.Claims
}

func (a *fakeAuthority) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	down := a.down
	a.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	switch r.URL.Path {
	case "/jwks":
		return a.serveKeys()
	case "/revocations", "/registry/check", "/consume":
		id, secret, _ := r.BasicAuth()
		a.mu.Lock()
		a.seenCreds = id + ":" + secret
		a.mu.Unlock()
		if r.URL.Path == "/revocations" {
			return a.serveFeed(r)
		}
		if r.URL.Path == "/consume" {
			return a.serveConsume(r)
		}
		return a.serveRegistry(r)
	}
	return answer(http.StatusNotFound, "text/plain", nil), nil
}

func answer(status int, contentType string, body []byte) *http.Response {
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(body))}
}

func (a *fakeAuthority) serveKeys() (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keyFetches++
	if a.keysDown {
		return answer(http.StatusServiceUnavailable, "text/plain", nil), nil
	}
	set, err := jwk.NewSet(a.published...)
	if err != nil {
		return nil, err
	}
	body, err := set.MarshalJSON()
	return answer(http.StatusOK, "application/jwk-set+json", body), err
}

// reported is what a guard last said it holds.
func (a *fakeAuthority) reported() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held
}

func (a *fakeAuthority) serveRegistry(r *http.Request) (*http.Response, error) {
	var q revocation.Question
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.trips = append(a.trips, len(q.Tokens))
	for a.hold {
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		a.mu.Lock()
	}
	defer a.mu.Unlock()
	reply := revocation.Answer{Verdicts: make([]string, len(q.Tokens))}
	for i, s := range q.Tokens {
		if a.issued[s.ID] != s.Digest {
			reply.Verdicts[i] = ReasonUnknownToken
		} else {
			reply.Verdicts[i] = a.dead[s.ID]
		}
	}
	body, err := json.Marshal(reply)
	return answer(http.StatusOK, "application/json", body), err
}

func (a *fakeAuthority) serveFeed(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return answer(http.StatusNotAcceptable, "text/plain", nil), nil
	}
	a.mu.Lock()
	a.held = r.Header.Get(revocation.KeysHeader)
	a.mu.Unlock()
	cursor, _ := revocation.ParseCursor(r.Header.Get("Last-Event-ID"))
	reader, writer := io.Pipe()
	go a.feed(r.Context(), writer, cursor)
	resp := answer(http.StatusOK, "text/event-stream", nil)
	resp.Body = reader
	return resp, nil
}

func (a *fakeAuthority) feed(ctx context.Context, w *io.PipeWriter, at revocation.Cursor) {
	stop := context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) })
	defer func() {
		stop()
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}()
	beat := time.NewTicker(500 * time.Millisecond)
	defer beat.Stop()
	for {
		a.mu.Lock()
		if a.down { // which of changed and cut was noticed first is a matter of chance
			a.mu.Unlock()
			return
		}
		var out []byte
		seq := uint64(len(a.log))
		var err error
		switch {
		case a.mute:
		case at.Incarnation != a.incarnation || at.Seq > seq:
			out, err = revocation.AppendSnapshot(nil, a.incarnation, seq, a.log)
			out = revocation.AppendHeartbeat(out, a.incarnation, seq, time.Now())
			at = revocation.Cursor{Incarnation: a.incarnation, Seq: seq}
		default:
			if at.Seq < seq {
				out, err = revocation.AppendDelta(nil, a.incarnation, a.log[at.Seq:])
			}
			out = revocation.AppendHeartbeat(out, a.incarnation, seq, time.Now())
			at.Seq = seq
		}
		changed, cut := a.changed, a.cut
		a.mu.Unlock()
		if err != nil {
			a.t.Error(err)
		}
		if len(out) > 0 {
			if _, err := w.Write(out); err != nil {
				return
			}
		}
		select {
		case <-changed:
		case <-beat.C:
		case <-cut:
			return
		case <-ctx.Done():
			return
		}
	}
}

// config is that of a guard for this authority.
func (a *fakeAuthority) config() Config {
	return Config{
		Issuer: testIssuer, Audience: testAudience, Client: ClientSecret(apiClient, apiSecret),
		HTTPClient: &http.Client{Transport: a}, Logger: slog.New(slog.DiscardHandler),
	}
}

// guard starts a guard; it must be closed before the test's bubble ends.
func (a *fakeAuthority) guard(changes ...func(*Config)) *Guard {
	c := a.config()
	for _, change := range changes {
		change(&c)
	}
	g, err := NewGuard(c)
	if err != nil {
		a.t.Fatal(err)
	}
	return g
}

// bubble runs a test with fake time, an authority, and a guard that follows it.
func bubble(t *testing.T, f func(t *testing.T, a *fakeAuthority, g *Guard), changes ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := newFakeAuthority(t)
		g := a.guard(changes...)
		defer func() { _ = g.Close() }()
		synctest.Wait()
		f(t, a, g)
	})
}

// reasonOf is the reason in the error of a check, "" for none.
func reasonOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("not a refusal: %v", err)
	}
	return refusal.Reason
}

// check is the reason for which a token is refused.
func check(t testing.TB, g *Guard, token string, demands ...Demand) string {
	t.Helper()
	got, err := g.Check(context.Background(), token, demands...)
	if (got == nil) != (err != nil) {
		t.Fatalf("token %v, error %v", got, err)
	}
	return reasonOf(t, err)
}

// get sends a request with these Authorization values through a guarded handler.
func get(h http.Handler, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/reports", nil)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
