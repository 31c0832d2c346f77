package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

func TestINT_1_CallersAuthenticate(t *testing.T) {
	w := newWorld(t, options{})
	token := w.machine()
	r := w.form("/introspect", "", "token", token)
	w.do(r).refused(http.StatusUnauthorized, oauth.InvalidClient)
	w.post("/introspect", "spa", "token", token).refused(http.StatusUnauthorized, oauth.InvalidClient) // an id is no proof
	r = w.form("/introspect", "", "token", token)
	r.SetBasicAuth("reports-api", "wrong")
	w.do(r).refused(http.StatusUnauthorized, oauth.InvalidClient)
	r = w.form("/introspect", "", "token", token)
	r.Header.Set("Authorization", "Bearer "+token)
	w.do(r).refused(http.StatusUnauthorized, oauth.InvalidClient)
}

func TestINT_2_TokenIsRequired(t *testing.T) {
	w := newWorld(t, options{})
	w.post("/introspect", "reports-api").refused(http.StatusBadRequest, oauth.InvalidRequest)
	token := w.machine()
	for _, hint := range []string{"access_token", "refresh_token", "nonsense"} { // a wrong hint hides nothing
		if a := w.post("/introspect", "reports-api", "token", token, "token_type_hint", hint).ok(); a.json["active"] != true {
			t.Errorf("with hint %s: %s", hint, a.body)
		}
	}
}

func TestINT_3_EverythingElseIsInactiveAndNothingMore(t *testing.T) {
	w := newWorld(t, options{})
	a := w.signedIn("web", scope("openid", "read"))
	expired := w.machine()
	w.clock.advance(5 * time.Minute)
	revoked := w.machine()
	w.post("/revoke", "machine", "token", revoked).ok()
	live := w.machine()
	foreign, err := jwk.Generate(jwk.ES256)
	must(t, err)
	now := w.clock.Now()
	stranger, err := jwt.Sign(foreign, "at+jwt", jwt.Claims{Issuer: "https://evil.example", Subject: "x", Audience: []string{api}, ClientID: "web",
		IssuedAt: now.Unix(), ExpiresAt: now.Unix() + 300, ID: secret.NewID(now).String()})
	must(t, err)
	for name, token := range map[string]string{
		"garbage":             "x",
		"expired":             expired,
		"revoked":             revoked,
		"foreign issuer":      stranger,
		"refresh token":       a.text("refresh_token"),
		"ID token":            a.text("id_token"),
		"code":                w.code("web"),
		"live, plus a letter": live + "A",
		"live, cut":           live[:len(live)-1],
		"live, with a space":  live + " ",
		"dots":                strings.Repeat(".", 60<<10),
	} {
		w.wantDead(name, token)
	}
	w.wantAlive("the live one", live)
}

// A resource sees tokens for itself, a client its own; nobody else's.
func TestINT_3_WhoMaySee(t *testing.T) {
	w := newWorld(t, options{})
	token := w.signedIn("web").text("access_token")
	for caller, want := range map[string]bool{"reports-api": true, "web": true, "billing-api": false, "other": false, "machine": false} {
		a := w.post("/introspect", caller, "token", token).ok()
		if a.json["active"] != want || !want && strings.TrimSpace(a.body) != `{"active":false}` {
			t.Errorf("%s is told %s", caller, a.body)
		}
	}
}

func TestINT_4_Members(t *testing.T) {
	w := newWorld(t, options{})
	s := w.session(w.person)
	token := w.signedIn("web", in(s), scope("openid", "read")).text("access_token")
	a := w.introspect(token)
	now := float64(w.clock.Now().Unix())
	want := map[string]any{
		"active": true, "scope": "openid read", "client_id": "web", "token_type": "Bearer", "exp": now + 300, "iat": now,
		"sub": w.person.Subject(), "aud": api, "iss": w.issuer, "sid": s.ID.String(), "auth_time": now, "amr": []any{"pwd"},
	}
	got := a.json
	for _, name := range []string{"jti", "gid"} {
		if _, err := secret.ParseID(a.text(name)); err != nil {
			t.Errorf("%s is %q", name, a.text(name))
		}
		delete(got, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
	for _, name := range []string{"exp", "iat", "auth_time"} { // integers, not floats
		var raw map[string]json.RawMessage
		must(t, json.Unmarshal([]byte(a.body), &raw))
		if strings.ContainsAny(string(raw[name]), `."eE`) {
			t.Errorf("%s is written %s", name, raw[name])
		}
	}
}

func TestINT_5_EveryCallLooksAgain(t *testing.T) {
	w := newWorld(t, options{})
	token := w.machine()
	for range 3 { // now it is a token that was seen before
		w.wantAlive("the token", token)
	}
	w.clock.advance(5*time.Minute - time.Second)
	w.wantAlive("the token, a second before its end", token)
	w.clock.advance(time.Second)
	w.wantDead("the token at its end", token)

	other, token := w.signedIn("web").text("access_token"), w.signedIn("web").text("access_token")
	w.wantAlive("the second token", token)
	w.wantAlive("its neighbour", other)
	w.post("/revoke", "web", "token", token).ok()
	w.wantDead("a revoked token that was seen before", token)
	w.wantAlive("its neighbour", other)
}

// stolenKey is the key that signs access tokens, taken the way a thief would:
// read from the database and opened with the sealing key.
func (w *world) stolenKey() *jwk.Key {
	w.t.Helper()
	masters, err := config.Config{SealingKey: sealing()}.Masters()
	must(w.t, err)
	opened, err := seal.Open(w.t.Context(), seal.Config{Store: w.parts.Store, Masters: masters})
	must(w.t, err)
	sealer := opened.Sealer()
	stored, err := w.parts.Store.Keys(w.t.Context())
	must(w.t, err)
	for _, k := range stored {
		if k.Ring != authority.RingAccess || k.State != authority.KeyActive {
			continue
		}
		plain, err := sealer.Open(k.Sealed, "key/"+k.Ring+"/"+k.ID)
		must(w.t, err)
		key, err := jwk.ParsePrivate(plain)
		must(w.t, err)
		return key
	}
	w.t.Fatal("no access key")
	return nil
}

// perfect are the claims of a token that only the registry can tell from a real
// one.
func (w *world) perfect(g authority.Grant) jwt.Claims {
	now := w.clock.Now()
	return jwt.Claims{
		Issuer: w.issuer, Subject: g.ClientID, Audience: []string{api}, ClientID: g.ClientID, Scope: "read write",
		IssuedAt: now.Unix(), ExpiresAt: now.Unix() + 300, ID: secret.NewID(now).String(), GrantID: g.ID.String(),
	}
}

// registered makes a token of any bytes that the registry knows as issued, so
// that what refuses it is the check under test and no other.
func (w *world) registered(token string, g authority.Grant, id string) string {
	w.t.Helper()
	jti, err := secret.ParseID(id)
	must(w.t, err)
	now := w.clock.Now()
	must(w.t, w.parts.Store.Issue(w.t.Context(), authority.Issue{Now: now, Token: authority.Token{
		ID: jti, GrantID: g.ID, Digest: secret.ShortDigest(token), ExpiresAt: now.Add(time.Hour),
	}}))
	return token
}

// TestJWT_NegativeCatalogue are the lines "JWT" of SPECS 29, at the places
// where this server itself reads access tokens.
func TestJWT_NegativeCatalogue(t *testing.T) {
	w := newWorld(t, options{})
	g := w.grantOf(w.machine())
	key := w.stolenKey()
	// The same claims, scope openid apart, are what userinfo takes.
	sign := func(typ string, edit func(*jwt.Claims)) string {
		c := w.perfect(g)
		c.Subject, c.Scope = w.person.Subject(), "openid read"
		edit(&c)
		token, err := jwt.Sign(key, typ, c)
		must(t, err)
		return w.registered(token, g, c.ID)
	}
	raw := func(header, payload string) string {
		message := b64(header) + "." + b64(payload)
		sig, err := key.Sign([]byte(message))
		must(t, err)
		return message + "." + b64(string(sig))
	}
	payload := func(edit func(map[string]any)) (string, string) {
		c := w.perfect(g)
		m := map[string]any{
			"iss": c.Issuer, "sub": w.person.Subject(), "aud": api, "client_id": c.ClientID, "scope": "openid read", "iat": c.IssuedAt, "exp": c.ExpiresAt,
			"jti": c.ID, "gid": c.GrantID,
		}
		edit(m)
		b, err := json.Marshal(m)
		must(t, err)
		return string(b), c.ID
	}
	withHeader := func(format string) string {
		p, id := payload(func(map[string]any) {})
		return w.registered(raw(fmt.Sprintf(format, key.ID()), p), g, id)
	}
	withPayload := func(edit func(map[string]any)) string {
		p, id := payload(edit)
		return w.registered(raw(fmt.Sprintf(`{"typ":"at+jwt","alg":"ES256","kid":"%s"}`, key.ID()), p), g, id)
	}
	same := func(*jwt.Claims) {}
	now := w.clock.Now().Unix()

	for name, token := range map[string]string{
		"as the server makes them":      sign("at+jwt", same),
		"typ with its prefix":           sign("application/at+jwt", same),
		"typ in another case":           sign("AT+JWT", same),
		"nbf in 5 s":                    sign("at+jwt", func(c *jwt.Claims) { c.NotBefore = now + 5 }),
		"a second before its end":       sign("at+jwt", func(c *jwt.Claims) { c.ExpiresAt = now + 1 }),
		"several audiences":             sign("at+jwt", func(c *jwt.Claims) { c.Audience = []string{"https://x.example", api} }),
		"claims nobody knows":           withPayload(func(m map[string]any) { m["x"] = map[string]any{"y": []any{1, 2}} }),
		"header members nobody follows": withHeader(`{"typ":"at+jwt","alg":"ES256","kid":"%s","jku":"https://evil.example/jwks"}`),
	} {
		if a := w.introspect(token); a.json["active"] != true {
			t.Errorf("%s: introspection says %s, want active", name, a.body)
		}
		if a := w.userinfo(token); a.status != http.StatusOK {
			t.Errorf("%s: userinfo says %d %s", name, a.status, a.header.Get("Jeton-Reason"))
		}
	}

	good := sign("at+jwt", same)
	parts := strings.Split(good, ".")
	for name, tt := range map[string]struct{ token, reason string }{
		"typ JWT":                 {sign("JWT", same), "wrong_type"},
		"no typ":                  {sign("", same), "wrong_type"},
		"logout token":            {sign("logout+jwt", same), "wrong_type"},
		"DPoP proof":              {sign("dpop+jwt", same), "wrong_type"},
		"iss with a slash":        {sign("at+jwt", func(c *jwt.Claims) { c.Issuer += "/" }), "wrong_issuer"},
		"iss in upper case":       {sign("at+jwt", func(c *jwt.Claims) { c.Issuer = strings.ToUpper(c.Issuer) }), "wrong_issuer"},
		"exp is now":              {sign("at+jwt", func(c *jwt.Claims) { c.ExpiresAt = now }), "expired"},
		"exp long ago":            {sign("at+jwt", func(c *jwt.Claims) { c.ExpiresAt = now - 3600 }), "expired"},
		"nbf in a minute":         {sign("at+jwt", func(c *jwt.Claims) { c.NotBefore = now + 60 }), "not_yet_valid"},
		"iat in a minute":         {sign("at+jwt", func(c *jwt.Claims) { c.IssuedAt = now + 60 }), "issued_in_future"},
		"no client_id":            {sign("at+jwt", func(c *jwt.Claims) { c.ClientID = "" }), "missing_claim"},
		"no aud":                  {sign("at+jwt", func(c *jwt.Claims) { c.Audience = nil }), "missing_claim"},
		"exp as a string":         {withPayload(func(m map[string]any) { m["exp"] = fmt.Sprint(now + 300) }), "malformed"},
		"exp is null":             {withPayload(func(m map[string]any) { m["exp"] = nil }), "malformed"},
		"nested too deep":         {withPayload(func(m map[string]any) { m["x"] = json.RawMessage(strings.Repeat("[", 200) + strings.Repeat("]", 200)) }), "malformed"},
		"unknown kid":             {withHeader(`{"typ":"at+jwt","alg":"ES256","kid":"x%s"}`), "unknown_key"},
		"kid that is a path":      {withHeader(`{"typ":"at+jwt","alg":"ES256","kid":"../../%s"}`), "unknown_key"},
		"kid that is SQL":         {withHeader(`{"typ":"at+jwt","alg":"ES256","kid":"' OR 1=1 --%s"}`), "unknown_key"},
		"no kid":                  {withHeader(`{"typ":"at+jwt","alg":"ES256"%.0s}`), "unknown_key"},
		"crit with a base name":   {withHeader(`{"typ":"at+jwt","alg":"ES256","kid":"%s","crit":["exp"]}`), "malformed"},
		"crit nobody understands": {withHeader(`{"typ":"at+jwt","alg":"ES256","kid":"%s","crit":["x"],"x":1}`), "malformed"},
		"b64 false":               {withHeader(`{"typ":"at+jwt","alg":"ES256","kid":"%s","crit":["b64"],"b64":false}`), "malformed"},
		"alg twice":               {withHeader(`{"typ":"at+jwt","alg":"ES256","alg":"none","kid":"%s"}`), "malformed"},
		"ALG none":                {withHeader(`{"typ":"at+jwt","ALG":"none","kid":"%s"}`), "malformed"},
		"alg none":                {b64(`{"typ":"at+jwt","alg":"none","kid":"`+key.ID()+`"}`) + "." + parts[1] + ".", "malformed"},
		"alg noNE, signed":        {withHeader(`{"typ":"at+jwt","alg":"noNE","kid":"%s"}`), "wrong_algorithm"},
		"alg HS256, EC key":       {withHeader(`{"typ":"at+jwt","alg":"HS256","kid":"%s"}`), "wrong_algorithm"},
		"alg ES384, P-256 key":    {withHeader(`{"typ":"at+jwt","alg":"ES384","kid":"%s"}`), "wrong_algorithm"},
		"zero signature":          {parts[0] + "." + parts[1] + "." + b64(strings.Repeat("\x00", 64)), "bad_signature"},
		"another payload":         {parts[0] + "." + strings.Split(sign("at+jwt", func(c *jwt.Claims) { c.Scope = "admin" }), ".")[1] + "." + parts[2], "bad_signature"},
		"padding":                 {good + "==", "malformed"},
		"two parts":               {parts[0] + "." + parts[1], "malformed"},
		"five parts":              {good + ".a.b", "malformed"},
	} {
		if a := w.introspect(tt.token); strings.TrimSpace(a.body) != `{"active":false}` {
			t.Errorf("%s: introspection says %s", name, a.body)
		}
		a := w.userinfo(tt.token)
		if a.status != http.StatusUnauthorized || a.header.Get("Jeton-Reason") != tt.reason ||
			!strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: userinfo says %d %s, want 401 %s", name, a.status, a.header.Get("Jeton-Reason"), tt.reason)
		}
	}
	w.wantEvents(authority.EventForgedToken, 0)

	if a := w.introspect(sign("at+jwt", func(c *jwt.Claims) { c.Audience = []string{billing} })); a.json["active"] != false {
		t.Error("a resource sees a token for another resource")
	}
	a := w.post("/introspect", "reports-api", "token", strings.Repeat("a.", 500<<10))
	if a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a token of 1 MB: %d", a.status)
	}
}

func TestAT_1_AT_2_AccessTokensAreRFC9068(t *testing.T) {
	w := newWorld(t, options{})
	set, err := jwk.ParseSet([]byte(w.get("/jwks").ok().body))
	must(t, err)
	check := func(token string, want map[string]any) {
		t.Helper()
		u, err := jwt.Parse(token, 0)
		must(t, err)
		if u.Header.Type != "at+jwt" || u.Header.Algorithm != "ES256" || len(set.Lookup(u.Header.KeyID)) != 1 {
			t.Errorf("header %s", u.RawHeader)
		}
		var got map[string]any
		must(t, json.Unmarshal(u.Claims.Payload(), &got))
		for _, name := range []string{"jti", "gid"} {
			if _, err := secret.ParseID(fmt.Sprint(got[name])); err != nil {
				t.Errorf("%s is %v", name, got[name])
			}
			delete(got, name)
		}
		if _, ok := network.Parse(fmt.Sprint(got["net"])); !ok {
			t.Errorf("net is %v", got["net"])
		}
		delete(got, "net")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want -, got +\n%s", diff)
		}
		v, err := jwt.NewVerifier(jwt.Config{Profile: jwt.AccessToken, Issuer: w.issuer, Audience: []string{fmt.Sprint(want["aud"])},
			Algorithms: []jwk.Algorithm{jwk.ES256}, Keys: set, Now: w.clock.Now})
		must(t, err)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("a resource server refuses it: %v", err)
		}
	}
	now := float64(w.clock.Now().Unix())
	s := w.session(w.person)
	check(w.signedIn("web", in(s), scope("openid", "read")).text("access_token"), map[string]any{
		"iss": w.issuer, "sub": w.person.Subject(), "aud": api, "client_id": "web", "scope": "openid read", "iat": now, "exp": now + 300,
		"sid": s.ID.String(), "auth_time": now, "amr": []any{"pwd"}, "ver": 1.0,
	})
	check(w.machine(), map[string]any{
		"iss": w.issuer, "sub": "machine", "aud": api, "client_id": "machine", "scope": "read write", "iat": now, "exp": now + 300,
	})
	// A grant for offline access outlives the session, so its tokens do not name it.
	check(w.signedIn("web", in(s), scope("read", "offline_access")).text("access_token"), map[string]any{
		"iss": w.issuer, "sub": w.person.Subject(), "aud": api, "client_id": "web", "scope": "read offline_access", "iat": now, "exp": now + 300,
		"auth_time": now, "amr": []any{"pwd"}, "ver": 1.0,
	})
}

func TestAT_2_RefreshKeepsWhatTheSignInFixed(t *testing.T) {
	w := newWorld(t, options{})
	a := w.signedIn("web", scope("openid", "read"))
	before := w.introspect(a.text("access_token")).json
	w.clock.advance(time.Hour)
	after := w.introspect(w.refresh("web", a.text("refresh_token")).ok().text("access_token")).json
	for _, name := range []string{"sub", "auth_time", "amr", "sid", "gid", "client_id", "aud", "scope"} {
		if !cmp.Equal(before[name], after[name]) {
			t.Errorf("%s went from %v to %v", name, before[name], after[name])
		}
	}
	if before["jti"] == after["jti"] || after["iat"].(float64) != before["iat"].(float64)+3600 {
		t.Errorf("jti %v, iat %v after %v", after["jti"], after["iat"], before["iat"])
	}
}

func TestAT_3_OtherKindsOfTokensAreRefused(t *testing.T) {
	w := newWorld(t, options{})
	a := w.signedIn("web", scope("openid", "read"))
	for name, token := range map[string]string{"ID token": a.text("id_token"), "refresh token": a.text("refresh_token")} {
		r := w.userinfo(token)
		if r.status != http.StatusUnauthorized || r.text("error") != "invalid_token" {
			t.Errorf("%s at a resource: %d %s", name, r.status, r.body)
		}
	}
}

func TestAT_4_DefaultAudience(t *testing.T) {
	w := newWorld(t, options{})
	w.client(clients.Spec{ID: "plain", GrantTypes: []string{oauth.ClientCredentials}, Scope: []string{"read"}})
	token := w.post("/token", "plain", "grant_type", "client_credentials").ok().text("access_token")
	if got := w.post("/introspect", "plain", "token", token).ok().json["aud"]; got != w.issuer {
		t.Errorf("aud is %v, want the issuer", got)
	}
}
