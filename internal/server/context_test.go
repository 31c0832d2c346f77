package server_test

import (
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

const (
	firefoxLinux  = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	firefoxNewer  = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"
	firefoxWin    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	chromeLinux   = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36"
	chromeWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36"
)

// place is where requests of a test come from.
type place struct{ addr, agent string }

var (
	atHome   = place{"192.0.2.77", firefoxLinux}
	atHome6  = place{"2001:db8:77:1::5", firefoxLinux}
	onTrain  = place{"198.51.100.4", firefoxLinux}
	theft    = place{"203.0.113.9", chromeWindows}
	theft6   = place{"2001:db8:bad::1", chromeWindows}
	theftAlt = place{"203.0.113.200", chromeWindows} // the same network
)

func (p place) context() authority.Context {
	addr := netip.MustParseAddr(p.addr)
	bits := 24
	if addr.Is6() {
		bits = 56
	}
	return authority.Context{Network: netip.PrefixFrom(addr, bits).Masked().String(), UserAgent: p.agent}
}

// traveller sends requests as if from a place, through a proxy that the server trusts.
type traveller struct {
	next http.RoundTripper
	at   atomic.Pointer[place]
}

func (v *traveller) RoundTrip(r *http.Request) (*http.Response, error) {
	if p := v.at.Load(); p != nil {
		r = r.Clone(r.Context())
		r.Header.Set("X-Forwarded-For", p.addr)
		r.Header.Set("User-Agent", p.agent)
	}
	return v.next.RoundTrip(r)
}

// travelling is a world whose requests come from where move says, at first from home.
func travelling(t *testing.T, o options) (w *world, move func(place)) {
	t.Helper()
	edit := o.edit
	o.edit = func(c *config.Config) {
		c.Listen.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		if edit != nil {
			edit(c)
		}
	}
	w = newWorld(t, o)
	v := &traveller{next: w.http.Transport}
	w.http.Transport = v
	move = func(p place) { v.at.Store(&p) }
	move(atHome)
	return w, move
}

// wantContexts holds one event against who it is about and both contexts.
func wantContexts(t *testing.T, e authority.Event, account, session, grant secret.ID, presented, last place) {
	t.Helper()
	if e.AccountID != account || e.SessionID != session || e.GrantID != grant {
		t.Errorf("%s is about account %v, session %v, grant %v; want %v, %v, %v", e.Type, e.AccountID, e.SessionID, e.GrantID, account, session, grant)
	}
	if e.Context != presented.context() {
		t.Errorf("%s comes from %+v, want %+v", e.Type, e.Context, presented.context())
	}
	if got := (authority.Context{Network: e.Data["last_network"], UserAgent: e.Data["last_user_agent"]}); got != last.context() {
		t.Errorf("%s: last use %+v, want %+v", e.Type, got, last.context())
	}
	for name, value := range e.Data {
		if strings.Contains(value, presented.addr) || strings.Contains(value, last.addr) {
			t.Errorf("%s: %s has a whole address: %s", e.Type, name, value)
		}
	}
}

func TestContext_SessionUsedFromElsewhere(t *testing.T) {
	tests := []struct {
		name   string
		mode   string
		to     place
		reason string // of the event, "" for none
		out    bool   // has to sign in again
	}{
		{"off", "off", theft, "", false},
		{"flag: another network", "flag", onTrain, "", false},
		{"flag: a newer version of the browser elsewhere", "flag", place{onTrain.addr, firefoxNewer}, "", false},
		{"flag: another browser", "flag", place{atHome.addr, chromeLinux}, "", false},
		{"flag: another network and browser", "flag", theft, authority.ChangedBoth, false},
		{"flag: another network and browser by IPv6", "flag", theft6, authority.ChangedBoth, false},
		{"flag: another operating system", "flag", place{atHome.addr, firefoxWin}, authority.ChangedPlatform, false},
		{"enforce: another network", "enforce", onTrain, authority.ChangedNetwork, true},
		{"enforce: another network and browser", "enforce", theft, authority.ChangedBoth, true},
		{"enforce: the same network", "enforce", place{"192.0.2.200", firefoxLinux}, "", false},
		{"enforce: the same machine by IPv6", "enforce", atHome6, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, move := travelling(t, options{edit: func(c *config.Config) { c.Sessions.IP = tt.mode }})
			v := w.visitor()
			v.signIn()
			for range 3 { // an event for each change, not for each request
				move(tt.to)
				p := v.open(http.MethodGet, "/", "")
				if out := !strings.Contains(p.body, "Ada Lovelace"); out != tt.out {
					t.Errorf("signed out: %v, want %v: %s", out, tt.out, p.body)
				}
				move(atHome)
				if p := v.open(http.MethodGet, "/", ""); !strings.Contains(p.body, "Ada Lovelace") {
					t.Errorf("signed out at home: %s", p.body)
				}
				w.clock.advance(2 * time.Minute)
			}
			events := w.events(authority.EventContextChanged)
			want := 1
			if tt.reason == "" {
				want = 0
			}
			if len(events) != want {
				t.Fatalf("%d events, want %d: %+v", len(events), want, events)
			}
			if want == 0 {
				return
			}
			e := events[0]
			if e.Reason != tt.reason || (e.Data["refused"] == "true") != tt.out {
				t.Errorf("reason %q, data %v", e.Reason, e.Data)
			}
			sessions, err := w.parts.Store.Sessions(t.Context(), w.person.ID, authority.Page{})
			must(t, err)
			wantContexts(t, e, w.person.ID, sessions[0].ID, secret.ID{}, tt.to, atHome)
		})
	}
}

// The operator sees where a session began and where it was last.
func TestContext_SessionKeepsFirstAndLast(t *testing.T) {
	w, move := travelling(t, options{})
	v := w.visitor()
	v.signIn()
	move(theft)
	v.open(http.MethodGet, "/", "")
	list, err := w.operator().Sessions(t.Context(), "ada", adminclient.Page{})
	must(t, err)
	if len(list.Items) != 1 {
		t.Fatalf("%d sessions", len(list.Items))
	}
	s := list.Items[0]
	if s.FirstNetwork != "192.0.2.0/24" || s.FirstUserAgent != firefoxLinux || s.Network != "203.0.113.0/24" || s.UserAgent != chromeWindows {
		t.Errorf("got %+v", s)
	}
}

func TestContext_RefreshFromElsewhere(t *testing.T) {
	tests := []struct {
		name    string
		mode    authority.IPMode
		refresh bool // is bound to the network too
		to      place
		events  int
		refused bool
	}{
		{"off", authority.IPOff, false, theft, 0, false},
		{"default: a phone on the way", "", false, onTrain, 0, false},
		{"default: another network and program", "", false, theft, 1, false},
		{"flag: a newer version on the way", authority.IPFlag, false, place{onTrain.addr, firefoxNewer}, 0, false},
		{"flag: another program at home", authority.IPFlag, false, place{atHome.addr, chromeWindows}, 0, false},
		{"enforce is not for refreshing", authority.IPEnforce, false, onTrain, 0, false},
		{"enforce tells as flag does", authority.IPEnforce, false, theft, 1, false},
		{"enforce for refreshing", authority.IPEnforce, true, onTrain, 1, true},
		{"enforce for refreshing: the same machine by IPv6", authority.IPEnforce, true, atHome6, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, move := travelling(t, options{})
			w.client(clients.Spec{ID: "moving", GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
				RedirectURIs: []string{"https://m.example.com/cb"}, Scope: everything, Audience: api, IP: tt.mode, IPRefresh: tt.refresh})
			a := w.signedIn("moving", scope("read"))
			g := w.grantOf(a.text("access_token"))
			last := atHome
			for round := range 3 {
				token := a.text("refresh_token")
				move(tt.to)
				b := w.refresh("moving", token)
				if tt.refused {
					b.refused(http.StatusBadRequest, oauth.InvalidGrant)
					move(atHome)
					b = w.refresh("moving", token) // nothing has ended
				}
				a = b.ok()
				if round == 0 && tt.events == 1 {
					wantContexts(t, w.events(authority.EventContextChanged)[0], w.person.ID, g.SessionID, g.ID, tt.to, last)
				}
			}
			w.wantEvents(authority.EventContextChanged, tt.events)
			got := w.grantOf(a.text("access_token"))
			want := tt.to
			if tt.refused {
				want = atHome
			}
			if got.First != atHome.context() || got.Last != want.context() {
				t.Errorf("first %+v, last %+v", got.First, got.Last)
			}
			list, err := w.operator().Grants(t.Context(), "ada", "moving", adminclient.Page{})
			must(t, err)
			if len(list.Items) != 1 || list.Items[0].FirstNetwork != "192.0.2.0/24" || list.Items[0].Network != want.context().Network {
				t.Errorf("the operator sees %+v", list.Items)
			}
		})
	}
}

// A thief and the owner in turn: what is told stays bounded, and a replay still
// ends the grant although refreshing is bound to a network.
func TestContext_BoundRefreshStillNoticesReplays(t *testing.T) {
	w, move := travelling(t, options{})
	w.client(clients.Spec{ID: "bound", GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
		RedirectURIs: []string{"https://m.example.com/cb"}, Scope: everything, Audience: api, IP: authority.IPEnforce, IPRefresh: true})
	a := w.signedIn("bound", scope("read"))
	stolen := a.text("refresh_token")
	g := w.grantOf(a.text("access_token"))
	for range 2 {
		a = w.refresh("bound", a.text("refresh_token")).ok()
	}
	move(theft)
	w.refresh("bound", stolen).refused(http.StatusBadRequest, oauth.InvalidGrant)
	events := w.events(authority.EventRefreshReused)
	if len(events) != 1 {
		t.Fatalf("%d events, want 1", len(events))
	}
	wantContexts(t, events[0], w.person.ID, g.SessionID, g.ID, theft, atHome)
}

func TestContext_SharedRefreshTokenTellsBothContexts(t *testing.T) {
	w, move := travelling(t, options{})
	a := w.signedIn("web", scope("read"))
	g := w.grantOf(a.text("access_token"))
	for range 3 {
		old := a.text("refresh_token")
		move(atHome)
		a = w.refresh("web", old).ok()
		move(theft)
		w.refresh("web", old).ok()
	}
	events := w.events(authority.EventRefreshShared)
	if len(events) != 1 {
		t.Fatalf("%d events, want 1", len(events))
	}
	wantContexts(t, events[0], w.person.ID, g.SessionID, g.ID, theft, atHome)
	w.wantEvents(authority.EventContextChanged, 1) // in three generations
}

func TestContext_ForgedTokenTellsWhoseGrantItNames(t *testing.T) {
	w, move := travelling(t, options{})
	g := w.grantOf(w.signedIn("web", scope("read")).text("access_token"))
	move(theft) // whoever shows it
	forged, err := jwt.Sign(w.stolenKey(), "at+jwt", w.perfect(g))
	must(t, err)
	w.wantDead("forged", forged)
	events := w.events(authority.EventForgedToken)
	if len(events) != 1 {
		t.Fatalf("%d events, want 1", len(events))
	}
	wantContexts(t, events[0], w.person.ID, g.SessionID, g.ID, theft, atHome)
}

// A sign-in from a browser or network that the account has not used before.
func TestContext_NewDevice(t *testing.T) {
	w, move := travelling(t, options{edit: func(c *config.Config) { c.SignIn.KnownFor = 48 * time.Hour }})
	told := 0
	signIn := func(what string, from place, reason string) {
		t.Helper()
		w.clock.advance(time.Minute)
		move(from)
		w.visitor().signIn()
		events := w.events(authority.EventNewDevice)
		if reason == "" {
			if len(events) != told {
				t.Errorf("%s: told of, as %s", what, events[0].Reason)
			}
			told = len(events)
			return
		}
		if told++; len(events) != told {
			t.Fatalf("%s: %d events, want %d", what, len(events), told)
		}
		e := events[0]
		live, err := w.parts.Store.Session(t.Context(), e.SessionID)
		must(t, err)
		if e.Reason != reason || e.AccountID != w.person.ID || live.AccountID != w.person.ID || e.Context != from.context() {
			t.Errorf("%s: got %+v", what, e)
		}
	}
	signIn("the first ever", atHome, "")
	signIn("again", atHome, "")
	signIn("with a newer version", place{atHome.addr, firefoxNewer}, "")
	signIn("on the way", onTrain, authority.ChangedNetwork)
	signIn("there again", onTrain, "")
	signIn("with another browser at home", place{atHome.addr, chromeLinux}, authority.ChangedUserAgent)
	signIn("a thief with the password", theft, authority.ChangedBoth)
	signIn("the thief again", theftAlt, "")
	signIn("both known, together for the first time", place{onTrain.addr, chromeLinux}, "")

	w.clock.advance(47 * time.Hour)
	signIn("within the time", atHome, "")
	w.clock.advance(2 * time.Hour)
	signIn("forgotten meanwhile", onTrain, authority.ChangedNetwork)
	w.clock.advance(30 * 24 * time.Hour)
	w.server.Sweep(t.Context())
	signIn("after a month, when nothing is known any more", atHome, authority.ChangedBoth)

	// Another account has its own.
	w.account("bob", "Bob")
	move(theft)
	v := w.visitor()
	v.open(http.MethodGet, "/signin", "")
	v.submit("login", "bob", "password", password)
	if n := len(w.events(authority.EventNewDevice)); n != told {
		t.Errorf("the first sign-in of another account is told of")
	}
	// Nobody can tell from the marks that both were in one place.
	move(theft)
	w.visitor().signIn()
	bob, err := w.parts.Store.AccountByLogin(t.Context(), "bob")
	must(t, err)
	marks, _, err := w.parts.Store.Marks(t.Context(), bob.ID, w.clock.Now())
	must(t, err)
	hers, _, err := w.parts.Store.Marks(t.Context(), w.person.ID, w.clock.Now())
	must(t, err)
	for m := range marks {
		if _, same := hers[m]; same || len(marks) != 2 || len(hers) < 2 {
			t.Errorf("the marks of two accounts are %v and %v", marks, hers)
		}
	}
}

func TestContext_BruteForceOncePerWindow(t *testing.T) {
	w, move := travelling(t, options{edit: func(c *config.Config) {
		c.SignIn.AccountFailures, c.SignIn.AddressFailures = 2, 6
		c.SignIn.Delay, c.SignIn.MaxDelay, c.SignIn.Window = time.Second, time.Second, time.Minute
	}})
	guess := func(login string, times int) {
		for range times {
			v := w.visitor()
			v.open(http.MethodGet, "/signin", "")
			v.submit("login", login, "password", "not the password of anybody")
			w.clock.advance(100 * time.Millisecond)
		}
	}
	move(theft)
	guess("ada", 2)
	w.wantEvents(authority.EventBruteForce, 0)
	guess("ada", 5)
	w.wantEvents(authority.EventBruteForce, 1)
	e := w.events(authority.EventBruteForce)[0]
	if e.AccountID != w.person.ID || e.Context != theft.context() || e.Reason != "account_from_network" {
		t.Errorf("got %+v", e)
	}
	w.clock.advance(2 * time.Minute)
	guess("ada", 5)
	w.wantEvents(authority.EventBruteForce, 2)

	// Many logins from one network are one event, of nobody.
	w.clock.advance(2 * time.Minute)
	for _, login := range []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"} {
		guess(login, 1)
	}
	w.wantEvents(authority.EventBruteForce, 3)
	if e := w.events(authority.EventBruteForce)[0]; e.Reason != "network" || !e.AccountID.IsZero() {
		t.Errorf("got %+v", e)
	}
	// The owner, elsewhere, is not locked out.
	move(atHome)
	v := w.visitor()
	if p := v.signIn(); !strings.Contains(v.open(http.MethodGet, "/", "").body, "Ada Lovelace") {
		t.Errorf("the owner cannot sign in: %s", p.body)
	}
}

func TestContext_GuessingAClientSecretIsToldOncePerWindow(t *testing.T) {
	w, move := travelling(t, options{})
	move(theft)
	guess := func(n int) {
		for range n {
			r := w.form("/token", "", "grant_type", "client_credentials")
			r.SetBasicAuth("machine", "not-the-secret-of-anybody-at-all-0123456789")
			w.do(r)
		}
	}
	guess(20)
	w.wantEvents(authority.EventBruteForce, 0)
	guess(5)
	w.wantEvents(authority.EventBruteForce, 1)
	e := w.events(authority.EventBruteForce)[0]
	if e.ClientID != "machine" || e.Context.Network != theft.context().Network || e.Reason != "client_from_network" {
		t.Errorf("got %+v", e)
	}
	w.clock.advance(6 * time.Minute)
	guess(25)
	w.wantEvents(authority.EventBruteForce, 2)
	move(atHome)
	w.machine() // is not locked out
}
