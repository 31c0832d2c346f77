package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

// from is the reason for which a guarded route refuses a request from a place.
func from(h http.Handler, token string, p place) string {
	r := httptest.NewRequest(http.MethodGet, "/reports", nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(p.addr), 4711).String()
	r.Header.Set("User-Agent", p.agent)
	r.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Header().Get("Jeton-Reason")
}

// mover registers a client for which ip is set.
func (w *world) mover(mode authority.IPMode) {
	w.t.Helper()
	w.client(clients.Spec{ID: "mover", GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
		RedirectURIs: []string{"https://m.example.com/cb"}, Scope: everything, Audience: api, IP: mode})
}

func (w *world) ready(c jeton.Config) *jeton.Guard {
	w.t.Helper()
	g := guard(w.t, c)
	eventually(w.t, "the guard is ready", 30*time.Second, g.Ready)
	return g
}

func TestContext_GuardHoldsTokensToTheirNetwork(t *testing.T) {
	flag, enforce := jeton.Network(jeton.Flag), jeton.Network(jeton.Enforce)
	const ok, wrong = "", jeton.ReasonWrongNetwork
	tests := []struct {
		name   string
		client authority.IPMode
		demand []jeton.Demand
		from   place
		want   string
		event  string // its reason, "" for none
	}{
		{"nobody asks", "", nil, theft, ok, ""},
		{"flag: home", "", []jeton.Demand{flag}, atHome, ok, ""},
		{"flag: the next address at home", "", []jeton.Demand{flag}, place{"192.0.2.200", firefoxLinux}, ok, ""},
		{"flag: elsewhere", "", []jeton.Demand{flag}, onTrain, ok, authority.ChangedNetwork},
		{"flag: somebody else elsewhere", "", []jeton.Demand{flag}, theft, ok, authority.ChangedBoth},
		{"flag: by IPv6", "", []jeton.Demand{flag}, atHome6, ok, ""},
		{"enforce: home", "", []jeton.Demand{enforce}, atHome, ok, ""},
		{"enforce: elsewhere", "", []jeton.Demand{enforce}, onTrain, wrong, authority.ChangedNetwork},
		{"enforce: by IPv6, of which nothing is known", "", []jeton.Demand{enforce}, atHome6, ok, ""},
		{"the stricter of two demands", "", []jeton.Demand{enforce, flag}, onTrain, wrong, authority.ChangedNetwork},
		{"client off: no route can ask", authority.IPOff, []jeton.Demand{flag}, theft, ok, ""},
		{"client off: a route that enforces takes none", authority.IPOff, []jeton.Demand{enforce}, atHome, wrong, ""},
		{"client enforces: home", authority.IPEnforce, nil, atHome, ok, ""},
		{"client enforces: elsewhere, though no route asks", authority.IPEnforce, nil, theft, wrong, authority.ChangedBoth},
		{"client enforces, route flags", authority.IPEnforce, []jeton.Demand{flag}, onTrain, wrong, authority.ChangedNetwork},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := travelling(t, options{})
			w.mover(tt.client)
			a := w.signedIn("mover", scope("read"))
			token := a.text("access_token")
			g := w.ready(w.guardConfig())
			// To flag, no request waits for the key: have it there.
			if got := from(guarded(g, enforce), w.machine(), atHome); got != ok {
				t.Fatalf("a machine at home: %q", got)
			}
			h := guarded(g, tt.demand...)
			for range 5 { // once per token
				if got := from(h, token, tt.from); got != tt.want {
					t.Fatalf("got %q, want %q", got, tt.want)
				}
			}
			if tt.want == ok {
				if got := from(h, token, tt.from); got != ok {
					t.Errorf("and then %q", got)
				}
			}
			must(t, g.Close()) // tells what is to be told
			if tt.event == "" {
				w.wantEvents(authority.EventContextChanged, 0)
				return
			}
			w.wantEvents(authority.EventContextChanged, 1)
			e := w.events(authority.EventContextChanged)[0]
			grant := w.grantOf(token)
			wantContexts(t, e, w.person.ID, grant.SessionID, grant.ID, tt.from, atHome)
			if e.Reason != tt.event || e.Data["at"] != "api" || (e.Data["refused"] == "true") != (tt.want == wrong) || e.TokenID.IsZero() {
				t.Errorf("got %+v", e)
			}
			if grant.Last != atHome.context() {
				t.Errorf("a request to an API moved the grant to %+v", grant.Last)
			}
		})
	}
}

// Whoever is refused refreshes once, and goes on from where he is now. The old
// token stays refused there. By then nobody is told of anything new.
func TestContext_RefreshBindsToWhereItCameFrom(t *testing.T) {
	w, move := travelling(t, options{})
	w.mover(authority.IPEnforce)
	h := guarded(w.ready(w.guardConfig()))
	a := w.signedIn("mover", scope("read"))
	old := a.text("access_token")
	if got := from(h, old, onTrain); got != jeton.ReasonWrongNetwork {
		t.Fatalf("got %q", got)
	}
	move(onTrain)
	b := w.refresh("mover", a.text("refresh_token")).ok()
	for _, tt := range []struct {
		what, token string
		p           place
		want        string
	}{
		{"new token, on the train", b.text("access_token"), onTrain, ""},
		{"old token, on the train", old, onTrain, jeton.ReasonWrongNetwork},
		{"old token, at home", old, atHome, ""},
		{"new token, at home", b.text("access_token"), atHome, jeton.ReasonWrongNetwork},
	} {
		if got := from(h, tt.token, tt.p); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
	// Refreshed by IPv6, it is for that network and for the last one of IPv4.
	move(atHome6)
	c := w.refresh("mover", b.text("refresh_token")).ok().text("access_token")
	for _, tt := range []struct {
		what string
		p    place
		want string
	}{
		{"IPv6", atHome6, ""}, {"IPv4", onTrain, ""},
		{"another network of IPv6", theft6, jeton.ReasonWrongNetwork}, {"another network of IPv4", theft, jeton.ReasonWrongNetwork},
	} {
		if got := from(h, c, tt.p); got != tt.want {
			t.Errorf("both families known, %s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}

// The token does not tell where it was issued, nor that two of them come from
// one place.
func TestContext_TokensDoNotTellTheNetwork(t *testing.T) {
	w, _ := travelling(t, options{})
	claim := func(token string) string {
		u, err := jwt.Parse(token, 0)
		must(t, err)
		if strings.Contains(string(u.Claims.Payload()), "192.0.2") {
			t.Errorf("the network is in the token: %s", u.Claims.Payload())
		}
		return u.Claims.Network
	}
	a := w.signedIn("web")
	one, two := claim(a.text("access_token")), claim(w.signedIn("web").text("access_token"))
	same := claim(w.refresh("web", a.text("refresh_token")).ok().text("access_token"))
	if one == "" || one == two || one != same {
		t.Errorf("net is %q, of another grant %q, of the same %q", one, two, same)
	}
	if got := claim(w.machine()); got == "" {
		t.Error("a machine's token is for no network")
	}
	w.mover(authority.IPOff)
	if got := claim(w.signedIn("mover", scope("read")).text("access_token")); got != "" {
		t.Errorf("off, and net is %q", got)
	}
}

// Behind a proxy every request comes from the proxy, unless the guard knows it.
func TestContext_GuardBehindAProxy(t *testing.T) {
	w, _ := travelling(t, options{})
	token := w.signedIn("web").text("access_token")
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	ask := func(h http.Handler, forwarded string) string {
		r := httptest.NewRequest(http.MethodGet, "/reports", nil)
		r.RemoteAddr = "10.1.2.3:4"
		r.Header.Set("Authorization", "Bearer "+token)
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec.Header().Get("Jeton-Reason")
	}
	for _, tt := range []struct {
		name, forwarded string
		trusted         []netip.Prefix
		want            string
	}{
		{"trusted", "192.0.2.9", proxies, ""},
		{"trusted, from elsewhere", "198.51.100.9", proxies, jeton.ReasonWrongNetwork},
		{"trusted, and the thief wrote the owner's address before", "192.0.2.9, 198.51.100.9", proxies, jeton.ReasonWrongNetwork},
		{"not trusted", "192.0.2.9", nil, jeton.ReasonWrongNetwork},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := w.guardConfig()
			c.TrustedProxies = tt.trusted
			h := guarded(w.ready(c), jeton.Network(jeton.Enforce))
			if got := ask(h, tt.forwarded); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A central policy holds one path of the API to it, live.
func TestContext_PolicyEnforcesPerEndpoint(t *testing.T) {
	w, _ := travelling(t, options{runs: true})
	token := w.signedIn("web").text("access_token")
	h := guarded(w.ready(w.guardConfig()))
	reason := func(path string) string {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.RemoteAddr = "203.0.113.9:1"
		r.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec.Header().Get("Jeton-Reason")
	}
	if got := reason("/payments/1"); got != "" {
		t.Fatalf("before: %q", got)
	}
	_, err := w.operator().PutPolicy(t.Context(), adminclient.PolicySpec{Name: "pay", Audience: api, Pattern: "/payments/{id}", Network: "enforce"}, "test")
	must(t, err)
	eventually(t, "the policy holds", 10*time.Second, func() bool { return reason("/payments/1") == jeton.ReasonWrongNetwork })
	if got := reason("/reports"); got != "" {
		t.Errorf("another path: %q", got)
	}
	if _, err := w.operator().PutPolicy(t.Context(), adminclient.PolicySpec{Name: "x", Audience: api, Pattern: "/", Network: "off"}, "test"); err == nil {
		t.Error("a policy cannot weaken a route: network off is taken")
	}
}

// While the authority is away nobody waits for a report, a route that flags goes
// on, and the report is made when it is back. A guard that has the key enforces.
func TestContext_ReportsOutliveAnOutage(t *testing.T) {
	w, _ := travelling(t, options{runs: true})
	a, b := w.signedIn("web").text("access_token"), w.signedIn("web").text("access_token")
	c := w.guardConfig()
	c.MaxStaleness = time.Hour
	g := w.ready(c)
	flags, enforces := guarded(g, jeton.Network(jeton.Flag)), guarded(g, jeton.Network(jeton.Enforce))
	for _, token := range []string{a, b} {
		if got := from(enforces, token, atHome); got != "" {
			t.Fatalf("at home: %q", got)
		}
	}
	w.stop()
	began := time.Now()
	if got := from(flags, a, theft); got != "" {
		t.Errorf("flagged: %q", got)
	}
	if got := from(enforces, b, theft); got != jeton.ReasonWrongNetwork {
		t.Errorf("enforced: %q", got)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("requests waited %v for a report", took)
	}
	w.start()
	eventually(t, "both are told of", 20*time.Second, func() bool { return len(w.events(authority.EventContextChanged)) == 2 })
}

// A guard that could never ask does not know the networks: what has to be
// enforced is refused, and not as the caller's fault.
func TestContext_GuardWithoutTheKey(t *testing.T) {
	w, _ := travelling(t, options{})
	token := w.signedIn("web").text("access_token")
	c := w.guardConfig()
	c.NetworkURL = w.issuer + "/nowhere"
	g := w.ready(c)
	if got := from(guarded(g, jeton.Network(jeton.Enforce)), token, atHome); got != jeton.ReasonAuthorityUnavailable {
		t.Errorf("enforce: %q", got)
	}
	if got := from(guarded(g, jeton.Network(jeton.Flag)), token, theft); got != "" {
		t.Errorf("flag: %q", got)
	}
	c = w.guardConfig()
	c.Client = jeton.Credential{}
	alone := guard(t, c)
	eventually(t, "it has keys", 10*time.Second, alone.Ready)
	if got := from(guarded(alone, jeton.Network(jeton.Enforce)), token, atHome); got != jeton.ReasonUnsupported {
		t.Errorf("without credentials: %q", got)
	}
	// Outside of HTTP nobody knows the address.
	if got := refusal(t, w.ready(w.guardConfig()), token, jeton.Network(jeton.Enforce)); got != jeton.ReasonWrongNetwork {
		t.Errorf("outside of HTTP: %q", got)
	}
}

// report sends a guard's report as a client.
func (w *world) report(as string, r revocation.Report) answer {
	w.t.Helper()
	b, err := json.Marshal(r)
	must(w.t, err)
	full := w.request(http.MethodPost, "/network", string(b))
	full.Header.Set("Content-Type", "application/json")
	full.Header["Authorization"] = w.form("/network", as).Header["Authorization"]
	return w.do(full)
}

func TestContext_ReportsAreForResources(t *testing.T) {
	w, _ := travelling(t, options{})
	token := w.signedIn("web").text("access_token")
	u, err := jwt.Parse(token, 0)
	must(t, err)
	id, err := secret.ParseID(u.Claims.ID)
	must(t, err)
	digest := secret.ShortDigest(token)
	good := revocation.Movement{ID: revocation.ID(id), Digest: digest, Network: "203.0.113.0/24", UserAgent: chromeWindows}
	edit := func(f func(*revocation.Movement)) revocation.Report {
		m := good
		f(&m)
		return revocation.Report{Moved: []revocation.Movement{m}}
	}
	w.report("web", revocation.Report{}).refused(http.StatusBadRequest, oauth.UnauthorizedClient)
	w.report("", revocation.Report{}).refused(http.StatusUnauthorized, oauth.InvalidClient)
	w.report("reports-api", edit(func(m *revocation.Movement) { m.Network = "somewhere" })).refused(http.StatusBadRequest, oauth.InvalidRequest)
	w.report("reports-api", revocation.Report{Moved: make([]revocation.Movement, 65)}).refused(http.StatusBadRequest, oauth.InvalidRequest)

	for what, r := range map[string]revocation.Report{
		"nothing":             {},
		"another digest":      edit(func(m *revocation.Movement) { m.Digest[0]++ }),
		"an unknown token":    edit(func(m *revocation.Movement) { m.ID = revocation.ID(secret.NewID(w.clock.Now())) }),
		"where it is at home": edit(func(m *revocation.Movement) { m.Network = "192.0.2.0/24" }),
	} {
		if a := w.report("reports-api", r).ok(); a.text("key") == "" {
			t.Errorf("%s: no key", what)
		}
		if n := len(w.events(authority.EventContextChanged)); n != 0 {
			t.Errorf("%s is told of", what)
		}
	}
	// A whole address is cut, and a second report of the same place is no news.
	w.report("reports-api", edit(func(m *revocation.Movement) { m.Network = "203.0.113.77/32" })).ok()
	w.report("reports-api", edit(func(m *revocation.Movement) { m.Network = "203.0.113.0/24" })).ok()
	w.wantEvents(authority.EventContextChanged, 1)
	if got := w.events(authority.EventContextChanged)[0].Context.Network; got != "203.0.113.0/24" {
		t.Errorf("kept %s", got)
	}
}
