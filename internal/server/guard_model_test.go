package server_test

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/faultproxy"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

const (
	modelStaleness = 400 * time.Millisecond
	// modelSlack is what a busy machine may add to the bound. A guard that does
	// not keep to it is wrong by much more: it accepts until the token expires.
	modelSlack = time.Second
)

// modelToken is an issued token as the model knows it.
type modelToken struct {
	name, text, refresh string
	jti, grant          secret.ID
	session, account    secret.ID
	client              string
	offline             bool
	expires             time.Time // by the shared clock
	dead                bool
	seq                 uint64    // with which it died
	answered            time.Time // when the revocation was answered, by the real clock
}

// model is the authority, the way to it, and one guard.
type model struct {
	w     *world
	proxy *faultproxy.Proxy
	guard *jeton.Guard

	tokens []*modelToken
	// Each revocation is followed by that of a sentinel, which is only ever held
	// against the guard's view: the guard that refuses it knows the log up to there.
	sentinels []*modelToken
	known     uint64 // by this guard
	keys      bool   // this guard has had keys
	sessions  []authority.Session
	clients   []string
	down      bool // the authority
	counts    map[string]int
}

// Issue 3, "Show" 3. JETON_MODEL_TIME makes it longer, with -rapid.checks and
// -timeout to match.
func TestGuard_Model(t *testing.T) {
	limit := 15 * time.Second
	if text := os.Getenv("JETON_MODEL_TIME"); text != "" {
		var err error
		limit, err = time.ParseDuration(text)
		must(t, err)
	}
	w := newWorld(t, options{runs: true})
	proxy := faultproxy.New(t, strings.TrimPrefix(w.origin, "http://"))
	counts := make(map[string]int)
	runs := 0
	for began := time.Now(); time.Since(began) < limit && !t.Failed(); runs++ {
		rapid.Check(t, func(r *rapid.T) {
			if time.Since(began) > limit {
				return
			}
			m := &model{w: w, proxy: proxy, counts: counts}
			m.proxy.Heal()
			m.proxy.ForgetWorst()
			m.startGuard()
			defer func() {
				must(t, m.guard.Close())
				if m.down {
					w.start()
				}
			}()
			for range 4 {
				m.issue(r)
			}
			r.Repeat(map[string]func(*rapid.T){
				"": m.check, "issue": m.issue, "issue too": m.issue, "issue as well": m.issue,
				"revoke": m.revoke, "revoke too": m.revoke, "revoke as well": m.revoke, "revoke again": m.revoke,
				"network": m.network, "network too": m.network, "outage": m.outage, "heal": m.heal, "wait": m.wait,
				"expire": m.expire, "restart": m.restart,
			})
		})
	}
	t.Logf("%d runs of %v", runs, counts)
}

func (m *model) startGuard() {
	c := m.w.guardConfig()
	c.FeedURL = "http://" + m.proxy.Address + "/revocations"
	c.MaxStaleness = modelStaleness
	g, err := jeton.NewGuard(c)
	must(m.w.t, err)
	m.guard, m.known, m.keys = g, 0, false
	if !m.down {
		token := m.w.machine()
		eventually(m.w.t, "the guard has keys", 20*time.Second, func() bool { return refusal(m.w.t, g, token) != jeton.ReasonKeysUnavailable })
		m.keys = true
	}
}

func (m *model) issue(r *rapid.T) {
	if m.down {
		r.Skip("the authority is down")
	}
	w := m.w
	x := &modelToken{client: rapid.SampledFrom([]string{"web", "spa", "own", "machine", "again"}).Draw(r, "client")}
	var a answer
	switch x.client {
	case "machine":
		a = w.post("/token", "machine", "grant_type", "client_credentials").ok()
	case "again":
		old := m.pick(r, func(x *modelToken) bool { return x.refresh != "" && !x.dead && w.clock.Now().Before(x.expires) })
		a = w.refresh(old.client, old.refresh).ok()
		x.client, x.session, x.account, x.offline = old.client, old.session, old.account, old.offline
		old.refresh = ""
	default:
		if x.client == "own" {
			if len(m.clients) == 0 || rapid.Bool().Draw(r, "new client") {
				id := "app-" + rand.Text()
				w.client(clients.Spec{ID: id, GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
					RedirectURIs: []string{"https://app.example.com/cb"}, Scope: everything, Audience: api})
				m.clients = append(m.clients, id)
			}
			x.client = rapid.SampledFrom(m.clients).Draw(r, "which client")
		}
		if len(m.sessions) == 0 || rapid.Bool().Draw(r, "new session") {
			account := secret.NewID(time.Now()).String()
			m.sessions = append(m.sessions, w.session(w.account("p"+strings.ToLower(account), "Somebody")))
		} else if rapid.Bool().Draw(r, "second session") {
			of := rapid.SampledFrom(m.sessions).Draw(r, "of")
			m.sessions = append(m.sessions, w.session(authority.Account{ID: of.AccountID}))
		}
		s := rapid.SampledFrom(m.sessions).Draw(r, "session")
		x.offline = rapid.Bool().Draw(r, "offline")
		scopes := []string{"openid", "read"}
		if x.offline {
			scopes = append(scopes, "offline_access")
		}
		x.session, x.account = s.ID, s.AccountID
		a = w.signedIn(x.client, in(s), scope(scopes...))
	}
	m.take(x, a)
	m.tokens = append(m.tokens, x)
	m.counts["issued"]++
}

// take reads what was issued.
func (m *model) take(x *modelToken, a answer) {
	x.text, x.refresh = a.text("access_token"), a.text("refresh_token")
	u, err := jwt.Parse(x.text, 0)
	must(m.w.t, err)
	x.jti, err = secret.ParseID(u.Claims.ID)
	must(m.w.t, err)
	x.grant, err = secret.ParseID(u.Claims.GrantID)
	must(m.w.t, err)
	x.expires = time.Unix(u.Claims.ExpiresAt, 0)
	x.name = fmt.Sprintf("token %d of %s", len(m.tokens), x.client)
}

func (m *model) pick(r *rapid.T, fits func(*modelToken) bool) *modelToken {
	var found []*modelToken
	for _, x := range m.tokens {
		if fits(x) {
			found = append(found, x)
		}
	}
	if len(found) == 0 {
		r.Skip("no such token")
	}
	return rapid.SampledFrom(found).Draw(r, "token")
}

func (m *model) live(x *modelToken) bool { return !x.dead && m.w.clock.Now().Before(x.expires) }

func (m *model) revoke(r *rapid.T) {
	if m.down {
		r.Skip("the authority is down")
	}
	w, ctx := m.w, m.w.t.Context()
	kind := rapid.SampledFrom([]string{"token", "grant", "refresh token", "session", "sign out", "sessions", "disable", "client"}).Draw(r, "kind")
	x := m.pick(r, func(x *modelToken) bool {
		switch kind {
		case "token":
			return m.live(x)
		case "grant", "client":
			return m.live(x) && x.client != "machine" && (kind == "grant" || strings.HasPrefix(x.client, "app-"))
		case "refresh token":
			return m.live(x) && x.refresh != ""
		}
		return m.live(x) && !x.account.IsZero()
	})
	sentinel := &modelToken{client: "machine"}
	m.take(sentinel, w.post("/token", "machine", "grant_type", "client_credentials").ok())

	// A session takes along what belongs to it and all that public apps got in it.
	inBrowser := func(y *modelToken) bool { return y.session == x.session && (!y.offline || y.client == "spa") }
	var dies func(*modelToken) bool
	switch kind {
	case "token":
		dies = func(y *modelToken) bool { return y.jti == x.jti }
		w.revoke(x.client, x.text, "")
	case "grant":
		dies = func(y *modelToken) bool { return y.grant == x.grant }
		must(w.t, w.operator().EndGrant(ctx, x.grant.String(), "model"))
	case "refresh token":
		dies = func(y *modelToken) bool { return y.grant == x.grant }
		w.revoke(x.client, x.refresh, "")
	case "session":
		dies = inBrowser
		must(w.t, w.operator().EndSession(ctx, x.session.String(), "model"))
	case "sign out":
		dies = inBrowser
		s, err := w.parts.Store.Session(ctx, x.session)
		must(w.t, err)
		must(w.t, w.parts.Accounts.SignOut(ctx, s, authority.Context{}))
	case "sessions":
		dies = func(y *modelToken) bool { return y.account == x.account }
		must(w.t, w.operator().EndSessions(ctx, x.account.String(), "model"))
	case "disable":
		dies = func(y *modelToken) bool { return y.account == x.account }
		must(w.t, w.operator().DisableAccount(ctx, x.account.String(), "model"))
	case "client":
		dies = func(y *modelToken) bool { return y.client == x.client }
		must(w.t, w.operator().DeleteClient(ctx, x.client, "model"))
		m.clients = without(m.clients, func(id string) bool { return id == x.client })
	}
	switch answered, seq := time.Now(), w.head().Seq; kind {
	case "session", "sign out":
		m.sessions = without(m.sessions, func(s authority.Session) bool { return s.ID == x.session })
		fallthrough
	default:
		for _, y := range m.tokens {
			if !y.dead && dies(y) {
				y.dead, y.seq, y.answered = true, seq, answered
			}
		}
	}
	if kind == "sessions" || kind == "disable" {
		m.sessions = without(m.sessions, func(s authority.Session) bool { return s.AccountID == x.account })
	}
	w.end(sentinel.text)
	sentinel.seq = w.head().Seq
	m.sentinels = append(m.sentinels, sentinel)
	m.counts["ended by "+kind]++
}

func without[T any](all []T, gone func(T) bool) []T {
	var left []T
	for _, x := range all {
		if !gone(x) {
			left = append(left, x)
		}
	}
	return left
}

// network makes the way to the feed worse.
func (m *model) network(r *rapid.T) {
	p := m.proxy
	fault := rapid.SampledFrom([]string{"cut", "cut inside", "half-close", "refuse", "stall", "delay", "lose the place"}).Draw(r, "fault")
	switch fault {
	case "cut":
		p.Cut()
	case "cut inside":
		p.CutAfter(rapid.IntRange(1, 300).Draw(r, "bytes"))
	case "half-close":
		p.HalfClose()
	case "refuse":
		p.Refuse()
	case "stall":
		p.Stall()
	case "delay":
		d := time.Duration(rapid.IntRange(1, 150).Draw(r, "ms")) * time.Millisecond
		p.Delay(d)
	case "lose the place": // what follows is a snapshot
		p.Rewrite(forgetful)
		p.Cut()
	}
	m.counts["network: "+fault]++
}

// forgetful has requests lose their place in the log.
func forgetful(request []byte) []byte {
	return bytes.Replace(request, []byte("\r\nLast-Event-Id: "), []byte("\r\nXast-Event-Id: "), 1)
}

// outage cuts the guard off and revokes behind its back. When the bound has
// passed, only a route that fails open may accept what died meanwhile.
func (m *model) outage(r *rapid.T) {
	if m.down || rapid.Bool().Draw(r, "no") {
		r.Skip("not now")
	}
	m.check(r) // so that the guard has seen what will die
	fault := rapid.SampledFrom([]string{"refuse", "stall"}).Draw(r, "fault")
	if fault == "stall" {
		m.proxy.Stall()
	} else {
		m.proxy.Refuse()
	}
	m.revoke(r)
	for end := time.Now().Add(m.bound() + 100*time.Millisecond); time.Now().Before(end); {
		m.check(r)
		time.Sleep(50 * time.Millisecond)
	}
	m.counts["outage: "+fault]++
	m.check(r)
	m.proxy.Heal()
}

// bound is how long a guard that was cut off may accept what has died: as long
// as its view is good, or the authority's last word about a token, and as long
// as what made it so was under way.
func (m *model) bound() time.Duration {
	return max(modelStaleness, time.Second) + m.proxy.Worst() + modelSlack
}

// heal repairs everything; then the guard must come to know everything.
func (m *model) heal(r *rapid.T) {
	m.proxy.Heal()
	if m.down || rapid.IntRange(0, 3).Draw(r, "patience") > 0 {
		return
	}
	eventually(m.w.t, "the guard recovers", 60*time.Second, m.guard.Ready)
	last := uint64(0)
	for _, s := range m.sentinels {
		if m.w.clock.Now().Before(s.expires) {
			last = s.seq
		}
	}
	eventually(m.w.t, "the guard knows everything", 60*time.Second, func() bool { return m.learn() >= last })
	m.counts["recovered"]++
}

func (m *model) wait(r *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(1, 700).Draw(r, "ms")) * time.Millisecond)
}

// expire moves everybody's clock.
func (m *model) expire(r *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 90).Draw(r, "seconds")) * time.Second
	if rapid.IntRange(0, 9).Draw(r, "far") == 0 {
		d = 3 * time.Hour
	}
	m.w.clock.advance(d)
	if d > time.Hour && !m.down { // the log forgets
		_, err := m.w.parts.Store.Sweep(m.w.t.Context(), m.w.clock.Now(), 24*time.Hour, 1000)
		must(m.w.t, err)
		m.sessions = nil
	}
	if d > time.Hour {
		m.counts["everything expired"]++
	}
	m.counts["clock moved"]++
}

// restart stops the authority, or starts it again where it was; or does so with
// the guard.
func (m *model) restart(r *rapid.T) {
	if rapid.IntRange(0, 2).Draw(r, "the guard") == 0 {
		must(m.w.t, m.guard.Close())
		m.startGuard()
		m.counts["guard restarted"]++
		return
	}
	m.restartAuthority(r)
	if m.down && rapid.Bool().Draw(r, "quickly") {
		m.restartAuthority(r)
	}
}

func (m *model) restartAuthority(r *rapid.T) {
	if !m.down {
		m.w.stop()
		m.down = true
		m.counts["authority stopped"]++
		return
	}
	if rapid.Bool().Draw(r, "new life of the log") {
		db, err := sql.Open("sqlite", "file:"+m.w.file)
		must(m.w.t, err)
		_, err = db.ExecContext(m.w.t.Context(), `UPDATE meta SET incarnation = ?`, revocation.NewIncarnation())
		must(m.w.t, err)
		must(m.w.t, db.Close())
		m.counts["new life of the log"]++
	}
	m.w.start()
	m.down = false
}

// learn finds out how much of the log the guard knows.
func (m *model) learn() uint64 {
	for i := len(m.sentinels) - 1; i >= 0 && m.sentinels[i].seq > m.known; i-- {
		got := refusal(m.w.t, m.guard, m.sentinels[i].text, jeton.SkipRegistry(), jeton.Fail(jeton.Open), jeton.MaxStaleness(24*time.Hour))
		if got == jeton.ReasonRevoked {
			m.known = m.sentinels[i].seq
		}
	}
	return m.known
}

// check holds the guard against the model, in every mode.
func (m *model) check(r *rapid.T) {
	known := m.learn()
	bound := m.bound()
	tokens := m.tokens
	if len(tokens) > 24 {
		tokens = tokens[len(tokens)-24:]
	}
	for _, x := range tokens {
		for _, mode := range []jeton.FailMode{jeton.Closed, jeton.Introspect, jeton.Open} {
			before, real := m.w.clock.Now(), time.Now()
			got := refusal(m.w.t, m.guard, x.text, jeton.Fail(mode))
			after := m.w.clock.Now()
			m.counts["checks"]++
			m.keys = m.keys || got != jeton.ReasonKeysUnavailable
			switch {
			case !before.Before(x.expires):
				if got == "" {
					r.Fatalf("fail %v: %s is accepted %v after it expired", mode, x.name, before.Sub(x.expires))
				}
			case x.dead && got == "":
				m.counts["accepted while not known"]++
				if x.seq <= known {
					r.Fatalf("fail %v: %s is accepted, died with %d, the guard knows %d", mode, x.name, x.seq, known)
				}
				if since := real.Sub(x.answered); mode != jeton.Open && since > bound {
					r.Fatalf("fail %v: %s is accepted %v after its revocation was answered, the bound is %v", mode, x.name, since, bound)
				}
			case x.dead:
				m.counts["refused: "+got]++
			case got == "" || got == jeton.ReasonExpired && !after.Before(x.expires):
			case got == jeton.ReasonViewStale && mode == jeton.Closed:
				m.counts["stale"]++
			case got == jeton.ReasonAuthorityUnavailable && mode != jeton.Open:
				m.counts["unavailable"]++
			case got == jeton.ReasonKeysUnavailable && !m.keys:
			default:
				r.Fatalf("fail %v: %s lives and is refused: %s", mode, x.name, got)
			}
		}
	}
}
