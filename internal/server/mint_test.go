package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// minter registers a client with a policy, and a second one for tests that want it.
func (w *world) minter(id string, p authority.MintPolicy) {
	w.t.Helper()
	w.client(clients.Spec{ID: id, GrantTypes: []string{oauth.ClientCredentials}, Scope: []string{"read", "write", "openid", "offline_access"}, Audience: api, Mint: &p})
}

// mintAs sends a batch and reads the answer.
func (w *world) mintAs(client, query, body string, headers ...string) (int, oauth.MintResponse) {
	w.t.Helper()
	r := w.request(http.MethodPost, "/mint"+query, body)
	r.Header.Set("Content-Type", "application/json")
	r.Header["Authorization"] = w.form("/mint", client).Header["Authorization"]
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a := w.do(r)
	var m oauth.MintResponse
	if a.status < 300 || a.status == http.StatusUnprocessableEntity {
		must(w.t, json.Unmarshal([]byte(a.body), &m))
	}
	for _, result := range m.Results {
		w.remember("minted token", result.AccessToken)
	}
	return a.status, m
}

// codes are the errors of the results, "" for a token.
func codes(m oauth.MintResponse) string {
	var list []string
	for _, r := range m.Results {
		if (r.AccessToken == "") == (r.Error == "") {
			return "a result with neither token nor error, or both"
		}
		list = append(list, string(r.Error))
	}
	return strings.Join(list, ",")
}

func TestMint_Batch(t *testing.T) {
	w := newWorld(t, options{})
	w.minter("mailer", authority.MintPolicy{Subjects: authority.MintOwn, Claims: []string{"campaign"}, Scope: []string{"read"}, MaxLifetime: 10 * time.Minute})
	status, m := w.mintAs("mailer", "", `[
		{}, {"sub":"mailer:night-run","claims":{"campaign":{"id":7}},"lifetime":60,"uses":3,"url":"https://api.example.com/x","method":"GET"},
		{"scope":"write"}, {"aud":"https://billing.example.com"}, {"lifetime":601}, {"lifetime":-1}, {"claims":{"role":"admin"}}, {"claims":{"sub":"x"}},
		{"uses":-1}, {"url":"/x"}, {"unknown":1}, 7, {"sub":"mailer:"}, {"sub":"other:x"}, {"scope":"read"}]`)
	if status != http.StatusOK {
		t.Fatal(status)
	}
	want := ",,scope_not_allowed,audience_not_allowed,lifetime_too_long,lifetime_too_long,claim_not_allowed,claim_reserved," +
		"bad_restriction,bad_restriction,malformed,malformed,subject_not_allowed,subject_not_allowed,"
	if got := codes(m); got != want {
		t.Fatalf("got %s\nwant %s", got, want)
	}
	c := claimsOf(t, m.Results[1].AccessToken)
	campaign, ok := c.Claim("campaign")
	if !ok || string(campaign) != `{"id":7}` || c.Subject != "mailer:night-run" || c.ClientID != "mailer" || c.Uses != 3 ||
		c.URL != "https://api.example.com/x" || c.Method != http.MethodGet || c.ExpiresAt-c.IssuedAt != 60 || c.Scope != "read" {
		t.Errorf("claims %s", c.Payload())
	}
	w.wantAlive("a minted token", m.Results[0].AccessToken)
	w.wantEvents(authority.EventMinted, 1)
	w.wantEvents(authority.EventMintRefused, 1)
	if g := w.grantOf(m.Results[0].AccessToken); g.Type != oauth.ClientCredentials {
		t.Errorf("grant of type %s", g.Type)
	}
}

func TestMint_Atomic(t *testing.T) {
	w := newWorld(t, options{})
	w.minter("mailer", authority.MintPolicy{Subjects: authority.MintOwn})
	status, m := w.mintAs("mailer", "?atomic=true", `[{},{"scope":"admin"},{}]`)
	if status != http.StatusUnprocessableEntity || codes(m) != "not_minted,scope_not_allowed,not_minted" {
		t.Errorf("got %d %s", status, codes(m))
	}
	w.wantEvents(authority.EventMinted, 0)
	if status, m = w.mintAs("mailer", "?atomic=true", `[{},{}]`); status != http.StatusOK || codes(m) != "," {
		t.Errorf("got %d %s", status, codes(m))
	}
}

func TestMint_Limits(t *testing.T) {
	w := newWorld(t, options{})
	w.minter("mailer", authority.MintPolicy{Subjects: authority.MintOwn, Rate: 3})
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"empty":          {"[]", http.StatusBadRequest},
		"no array":       {"{}", http.StatusBadRequest},
		"too many items": {"[" + strings.Repeat("{},", 1000) + "{}]", http.StatusBadRequest},
		"too many bytes": {`[{"reason":"` + strings.Repeat("x", 3<<20) + `"}]`, http.StatusRequestEntityTooLarge},
	} {
		if status, _ := w.mintAs("mailer", "", test.body); status != test.status {
			t.Errorf("%s: got %d, want %d", name, status, test.status)
		}
	}
	if status, m := w.mintAs("mailer", "", `[{"reason":"`+strings.Repeat("x", 5000)+`"}]`); status != http.StatusOK || codes(m) != "too_large" {
		t.Errorf("a large item: %d %s", status, codes(m))
	}
	if _, m := w.mintAs("mailer", "", "[{},{},{},{},{}]"); codes(m) != ",,,rate_limited,rate_limited" {
		t.Errorf("over the rate: %s", codes(m))
	}
	w.clock.advance(20 * time.Second)
	if _, m := w.mintAs("mailer", "", "[{},{}]"); codes(m) != ",rate_limited" {
		t.Errorf("a third of a minute later: %s", codes(m))
	}
}

// A retried batch mints nothing, and tells which tokens it made.
func TestMint_Idempotent(t *testing.T) {
	w := newWorld(t, options{})
	w.minter("mailer", authority.MintPolicy{Subjects: authority.MintOwn})
	w.minter("other-mailer", authority.MintPolicy{Subjects: authority.MintOwn})
	key := []string{"Idempotency-Key", "batch-1"}
	var fresh atomic.Int64
	var work sync.WaitGroup
	answers := make([]oauth.MintResponse, 8)
	for i := range answers {
		work.Go(func() {
			_, answers[i] = w.mintAs("mailer", "", `[{},{"scope":"admin"},{}]`, key...)
			if !answers[i].Replayed {
				fresh.Add(1)
			}
		})
	}
	work.Wait()
	if got := fresh.Load(); got != 1 {
		t.Fatalf("%d batches were minted, want 1", got)
	}
	for _, m := range answers {
		for i, r := range m.Results {
			if r.ID != answers[0].Results[i].ID || r.Error != answers[0].Results[i].Error || m.Replayed && r.AccessToken != "" {
				t.Errorf("result %d: %s %s, want %s", i, r.ID, r.Error, answers[0].Results[i].ID)
			}
		}
	}
	w.wantEvents(authority.EventMinted, 1)
	if status, _ := w.mintAs("mailer", "", `[{}]`, key...); status != http.StatusBadRequest {
		t.Errorf("another batch with the key: %d", status)
	}
	if _, m := w.mintAs("other-mailer", "", `[{},{"scope":"admin"},{}]`, key...); m.Replayed {
		t.Error("a key of another client counts")
	}
	w.clock.advance(25 * time.Hour)
	if _, m := w.mintAs("mailer", "", `[{}]`, key...); m.Replayed || codes(m) != "" {
		t.Error("a key counts for longer than a day")
	}
}

// A person's token says who acts and why, is in the person's list, and ends there.
func TestMint_Person(t *testing.T) {
	w := newWorld(t, options{})
	w.minter("support", authority.MintPolicy{Subjects: authority.MintSession, Scope: []string{"read", "openid"}})
	ask := `[{"login":"ada","scope":"read","reason":"ticket 4711"}]`
	if _, m := w.mintAs("support", "", ask); codes(m) != "subject_not_allowed" {
		t.Fatalf("without a session: %s", codes(m))
	}
	session := w.session(w.person)
	_, m := w.mintAs("support", "", ask)
	if codes(m) != "" {
		t.Fatal(codes(m))
	}
	token := m.Results[0].AccessToken
	c := claimsOf(t, token)
	reason, _ := c.Claim("reason")
	if c.Subject != w.person.Subject() || string(c.Actor) != `{"sub":"support"}` || string(reason) != `"ticket 4711"` || c.SessionID != session.ID.String() {
		t.Errorf("claims %s", c.Payload())
	}
	for _, name := range []string{"auth_time", "acr", "amr"} {
		if c.Has(name) {
			t.Errorf("the token has %s, and nobody signed in for it", name)
		}
	}
	grants, err := w.parts.Store.Grants(t.Context(), w.person.ID, "", authority.Page{})
	must(t, err)
	if len(grants) != 1 || grants[0].Type != authority.GrantMint || grants[0].HasRefresh || grants[0].ClientID != "support" {
		t.Fatalf("grants %+v", grants)
	}
	events, err := w.parts.Store.Events(t.Context(), authority.EventFilter{AccountID: w.person.ID, Type: authority.EventGrantCreated}, authority.Page{})
	must(t, err)
	if len(events) != 1 || events[0].Data["act"] != "support" || events[0].Reason != "ticket 4711" {
		t.Errorf("the person's activity: %+v", events)
	}
	w.wantAlive("the token", token)
	must(t, w.parts.Tokens.Revoke(t.Context(), authority.Revocation{Grant: grants[0].ID, Reason: "test", Event: w.event(authority.EventGrantEnded)}))
	w.wantDead("a token whose grant was ended", token)

	_, m = w.mintAs("support", "", ask)
	must(t, w.parts.Tokens.Revoke(t.Context(), authority.Revocation{Session: session.ID, Reason: "test", Event: w.event(authority.EventSignedOut)}))
	w.wantDead("a token whose person signed out", m.Results[0].AccessToken)
	if _, m := w.mintAs("support", "", ask); codes(m) != "subject_not_allowed" {
		t.Errorf("after signing out: %s", codes(m))
	}
}

// The insider has the credentials of every client and wants somebody else's token.
func TestMint_Insider(t *testing.T) {
	w := newWorld(t, options{})
	ada := w.person.Subject()
	w.account("boss", "The Boss")
	w.session(w.person)
	w.minter("own", authority.MintPolicy{Subjects: authority.MintOwn, Claims: []string{"team"}})
	w.minter("nobody", authority.MintPolicy{Subjects: authority.MintNone})
	w.minter("boss-only", authority.MintPolicy{Subjects: authority.MintPattern, Patterns: []string{"boss*"}, Scope: []string{"read"}})
	w.minter("sessions", authority.MintPolicy{Subjects: authority.MintSession, Patterns: []string{"boss"}})
	tests := []struct{ client, item, want string }{
		{"own", `{"sub":"` + ada + `","reason":"x"}`, "subject_not_allowed"},
		{"own", `{"login":"ada","reason":"x"}`, "subject_not_allowed"},
		{"own", `{"sub":"nobody"}`, "subject_not_allowed"},
		{"own", `{"sub":"nobody:x"}`, "subject_not_allowed"},
		{"own", `{"sub":"own:` + ada + `/x"}`, "subject_not_allowed"},
		{"own", `{"sub":"own","login":"ada"}`, "subject_not_allowed"},
		{"own", `{"claims":{"sub":"` + ada + `"}}`, "claim_reserved"},
		{"own", `{"claims":{"act":{}}}`, "claim_reserved"},
		{"own", `{"claims":{"client_id":"web"}}`, "claim_reserved"},
		{"own", `{"claims":{"iss":"https://evil.example.com"}}`, "claim_reserved"},
		{"own", `{"claims":{"exp":99999999999}}`, "claim_reserved"},
		{"own", `{"claims":{"gid":"x"}}`, "claim_reserved"},
		{"own", `{"claims":{"team":1,"cnf":{}}}`, "claim_reserved"},
		{"own", `{"claims":{"roles":["admin"]}}`, "claim_not_allowed"},
		{"own", `{"sub":"own:x","scope":"openid"}`, "scope_not_allowed"},
		{"own", `{"scope":"offline_access"}`, "scope_not_allowed"},
		{"nobody", `{"sub":"nobody:x"}`, "subject_not_allowed"},
		{"nobody", `{"sub":"` + ada + `","reason":"x"}`, "subject_not_allowed"},
		{"boss-only", `{"login":"ada","scope":"read","reason":"x"}`, "subject_not_allowed"},
		{"boss-only", `{"sub":"` + ada + `","scope":"read","reason":"x"}`, "subject_not_allowed"},
		{"boss-only", `{"login":"nobody-there","scope":"read","reason":"x"}`, "subject_not_allowed"},
		{"boss-only", `{"login":"boss","scope":"read"}`, "reason_missing"},
		{"boss-only", `{"login":"boss","scope":"read","reason":" "}`, "reason_missing"},
		{"boss-only", `{"login":"boss","scope":"write","reason":"x"}`, "scope_not_allowed"},
		{"boss-only", `{"login":"boss","scope":"offline_access","reason":"x"}`, "scope_not_allowed"},
		{"boss-only", `{"login":"boss","claims":{"reason":"y"},"reason":"x"}`, "claim_reserved"},
		{"boss-only", `{"login":"boss","claims":{"auth_time":1},"reason":"x"}`, "claim_reserved"},
		{"sessions", `{"login":"boss","reason":"x"}`, "subject_not_allowed"}, // not signed in
		{"sessions", `{"login":"ada","reason":"x"}`, "subject_not_allowed"},  // signed in, another name
	}
	for i, test := range tests {
		t.Run(fmt.Sprint(test.client, " ", test.item), func(t *testing.T) {
			w.clock.advance(time.Second)
			w.wantEvents(authority.EventMintRefused, i)
			status, m := w.mintAs(test.client, "", "["+test.item+"]")
			if status != http.StatusOK || codes(m) != test.want {
				t.Errorf("got %d %s, want %s", status, codes(m), test.want)
			}
			w.wantEvents(authority.EventMintRefused, i+1) // recorded
			if e := w.events(authority.EventMintRefused)[0]; e.ClientID != test.client || e.Data[test.want] != "1" {
				t.Errorf("event %+v", e)
			}
		})
	}
	// Clients without a policy, a public one, a resource's own, and nobody at all.
	for client, want := range map[string]int{"web": 400, "machine": 400, "reports-api": 400, "spa": 401, "": 401} {
		if status, _ := w.mintAs(client, "", `[{"login":"ada","reason":"x"}]`); status != want {
			t.Errorf("%q: got %d, want %d", client, status, want)
		}
	}
	// The token endpoint has no word for somebody else.
	for _, name := range []string{"sub", "login", "requested_subject", "subject_token", "act", "claims"} {
		token := w.post("/token", "machine", "grant_type", "client_credentials", name, ada).ok().text("access_token")
		if got := claimsOf(t, token).Subject; got != "machine" {
			t.Errorf("%s: a token of %s", name, got)
		}
	}
	for _, grant := range []string{"urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer", "password", authority.GrantMint} {
		w.post("/token", "machine", "grant_type", grant, "username", "ada", "subject_token", "x", "assertion", "x").refused(http.StatusBadRequest, "unsupported_grant_type")
	}
	grants, err := w.parts.Store.Grants(t.Context(), w.person.ID, "", authority.Page{})
	must(t, err)
	if len(grants) != 0 {
		t.Errorf("%d grants of the victim", len(grants))
	}
}

// A disabled person, a changed policy and a disabled client count at once.
func TestMint_WhatChangedCounts(t *testing.T) {
	w := newWorld(t, options{})
	w.minter("support", authority.MintPolicy{Subjects: authority.MintPattern, Patterns: []string{"*"}})
	ask := `[{"login":"ada","scope":"read","reason":"x"}]`
	_, m := w.mintAs("support", "", ask)
	if codes(m) != "" {
		t.Fatal(codes(m))
	}
	c, err := w.parts.Clients.Lookup(t.Context(), "support")
	must(t, err)
	spec := clients.SpecOf(c)
	spec.Mint = &authority.MintPolicy{Subjects: authority.MintOwn}
	_, err = w.parts.Clients.Update(t.Context(), authority.System, "support", spec, "test")
	must(t, err)
	if _, m := w.mintAs("support", "", ask); codes(m) != "subject_not_allowed" {
		t.Errorf("after the policy was narrowed: %s", codes(m))
	}
	spec.Disabled, spec.Version = true, 0
	_, err = w.parts.Clients.Update(t.Context(), authority.System, "support", spec, "test")
	must(t, err)
	w.wantDead("a token of a disabled client", m.Results[0].AccessToken)
	if status, _ := w.mintAs("support", "", `[{}]`); status != http.StatusUnauthorized {
		t.Errorf("a disabled client: %d", status)
	}
}

func TestMint_Approval(t *testing.T) {
	w := newWorld(t, options{})
	w.minter("support", authority.MintPolicy{Subjects: authority.MintPattern, Patterns: []string{"*"}, Approval: true})
	ask := `[{"login":"ada","scope":"read","reason":"ticket 1"}]`
	status, m := w.mintAs("support", "", ask, "Jeton-Requested-By", "eve")
	if status != http.StatusAccepted || m.Request == "" || m.State != "pending" || len(m.Results) != 0 {
		t.Fatalf("got %d %+v", status, m)
	}
	collect := func(id string) (int, oauth.MintResponse) { return w.mintAs("support", "?request="+id, "") }
	if status, _ := collect(m.Request); status != http.StatusAccepted {
		t.Errorf("before the decision: %d", status)
	}
	id, err := secret.ParseID(m.Request)
	must(t, err)
	decide := func(id secret.ID, approve bool, by string) error {
		return w.parts.Mint.Decide(t.Context(), authority.Actor{Kind: "admin", ID: "admin_token"}, id, approve, by, "looks right")
	}
	if err := decide(id, true, "eve"); err == nil {
		t.Error("the one who asked approved")
	}
	must(t, decide(id, true, "grace"))
	if err := decide(id, false, "grace"); err == nil {
		t.Error("decided twice")
	}
	status, got := collect(m.Request)
	if status != http.StatusOK || codes(got) != "" {
		t.Fatalf("after the approval: %d %s", status, codes(got))
	}
	if status, again := collect(m.Request); status != http.StatusUnprocessableEntity || again.State != "done" {
		t.Errorf("a second time: %d %+v", status, again)
	}
	e := w.events(authority.EventMinted)[0]
	if e.Data["requested_by"] != "eve" || e.Data["approved_by"] != "grace" {
		t.Errorf("event %+v", e.Data)
	}

	_, m = w.mintAs("support", "", ask)
	id, err = secret.ParseID(m.Request)
	must(t, err)
	must(t, decide(id, false, "grace"))
	if status, denied := collect(m.Request); status != http.StatusUnprocessableEntity || denied.State != "denied" {
		t.Errorf("denied: %d %+v", status, denied)
	}
	_, m = w.mintAs("support", "", ask)
	id, err = secret.ParseID(m.Request)
	must(t, err)
	w.clock.advance(61 * time.Minute)
	if err := decide(id, true, "grace"); err == nil {
		t.Error("approved after its time")
	}
	w.minter("other-support", authority.MintPolicy{Subjects: authority.MintPattern, Patterns: []string{"*"}})
	if status, _ := w.mintAs("other-support", "?request="+m.Request, ""); status != http.StatusBadRequest {
		t.Errorf("another client's request: %d", status)
	}
}

// Restricted tokens from the token endpoint are for clients with a policy.
func TestToken_Restricted(t *testing.T) {
	w := newWorld(t, options{})
	w.minter("robot", authority.MintPolicy{Subjects: authority.MintNone})
	ask := func(client string, pairs ...string) answer {
		return w.post("/token", client, append([]string{"grant_type", "client_credentials"}, pairs...)...)
	}
	c := claimsOf(t, ask("robot", "url", api+"/x?y=1", "url_method", "POST", "uses", "2").ok().text("access_token"))
	if c.URL != api+"/x?y=1" || c.Method != "POST" || c.Uses != 2 {
		t.Errorf("claims %s", c.Payload())
	}
	c = claimsOf(t, ask("robot", "url", api+"/x", "url_hash", "S256").ok().text("access_token"))
	if c.URL != "" || c.URLHash == "" {
		t.Errorf("claims %s", c.Payload())
	}
	for _, bad := range [][]string{{"url", "x"}, {"url", "https://API.example.com/"}, {"url", api}, {"url", api + "/#x"}, {"url_hash", "S256"},
		{"url", api + "/", "url_hash", "md5"}, {"url_method", "get"}, {"uses", "0"}, {"uses", "-1"}, {"uses", "10001"}, {"uses", "1.5"}} {
		ask("robot", bad...).refused(http.StatusBadRequest, oauth.InvalidRequest)
	}
	ask("machine", "uses", "1").refused(http.StatusBadRequest, oauth.UnauthorizedClient)
	w.post("/token", "web", "grant_type", "authorization_code", "code", w.code("web"), "code_verifier", verifier, "uses", "1").
		refused(http.StatusBadRequest, oauth.UnauthorizedClient) // and not dropped in silence
}

// Ten uses, three guards, a thousand requests at once: ten succeed.
func TestConsume_ThreeGuards(t *testing.T) {
	w := newWorld(t, options{runs: true})
	w.minter("robot", authority.MintPolicy{Subjects: authority.MintNone})
	token := w.post("/token", "robot", "grant_type", "client_credentials", "uses", "10").ok().text("access_token")
	guards := w.fleet(3)
	var accepted, refused atomic.Int64
	var work sync.WaitGroup
	for i := range 1000 {
		work.Go(func() {
			switch _, err := guards[i%3].Check(t.Context(), token, jeton.Uses()); {
			case err == nil:
				accepted.Add(1)
			case strings.HasPrefix(err.Error(), "jeton: no_uses_left"):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	work.Wait()
	if accepted.Load() != 10 || refused.Load() != 990 {
		t.Errorf("%d accepted, %d refused, want 10 and 990", accepted.Load(), refused.Load())
	}
	u, err := jwt.Parse(token, 0)
	must(t, err)
	id, err := secret.ParseID(u.Claims.ID)
	must(t, err)
	rows, err := w.parts.Store.Tokens(t.Context(), []secret.ID{id})
	must(t, err)
	if left := rows[id].Uses; left == nil || *left != 0 {
		t.Errorf("uses left: %v", left)
	}
}

// Who asks the authority about a restricted token is told of the restriction,
// and the authority's own resource takes none.
func TestIntrospection_TellsRestrictions(t *testing.T) {
	w := newWorld(t, options{})
	w.minter("support", authority.MintPolicy{Subjects: authority.MintPattern, Patterns: []string{"*"}})
	_, m := w.mintAs("support", "", `[{"login":"ada","scope":"openid","reason":"x","uses":1,"url":"https://api.example.com/x","method":"GET"},
		{"login":"ada","scope":"openid","reason":"x"}]`)
	if codes(m) != "," {
		t.Fatal(codes(m))
	}
	told := w.introspect(m.Results[0].AccessToken)
	if told.text("url") != "https://api.example.com/x" || told.text("method") != "GET" || told.json["uses"] != 1.0 || told.json["act"] == nil {
		t.Errorf("introspection says %s", told.body)
	}
	if a := w.userinfo(m.Results[0].AccessToken); a.status != http.StatusUnauthorized || a.header.Get("Jeton-Reason") != "unsupported_restriction" {
		t.Errorf("userinfo: %d %s", a.status, a.header.Get("Jeton-Reason"))
	}
	w.userinfo(m.Results[1].AccessToken).ok()
}

// BenchmarkMint compares a batch of 1,000 with single token requests, both with
// 64 callers: tokens/s.
func BenchmarkMint(b *testing.B) {
	w := newWorld(b, options{runs: true})
	w.minter("robot", authority.MintPolicy{Subjects: authority.MintOwn, Rate: 1 << 30})
	const callers = 64
	run := func(b *testing.B, each int, call func()) {
		var left atomic.Int64
		left.Store(int64(b.N))
		var work sync.WaitGroup
		for range callers {
			work.Go(func() {
				for left.Add(-1) >= 0 {
					call()
				}
			})
		}
		work.Wait()
		b.ReportMetric(float64(b.N*each)/b.Elapsed().Seconds(), "tokens/s")
	}
	send := func(path, kind, body string) {
		r := w.request(http.MethodPost, path, body)
		r.Header.Set("Content-Type", kind)
		r.SetBasicAuth("robot", w.keys["robot"])
		response, err := w.http.Do(r)
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = response.Body.Close() }()
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			b.Error(response.Status, err)
		}
	}
	b.Run("single", func(b *testing.B) {
		run(b, 1, func() {
			send("/token", "application/x-www-form-urlencoded", "grant_type=client_credentials&scope=read")
		})
	})
	batch := "[" + strings.Repeat(`{"scope":"read"},`, 999) + `{"scope":"read"}]`
	b.Run("batch", func(b *testing.B) {
		run(b, 1000, func() { send("/mint", "application/json", batch) })
	})
}
