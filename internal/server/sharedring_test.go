package server_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// shares makes the API's tokens HS256, signed by a ring, and returns the file of
// secrets as a member has it.
func (w *world) shares(ring string) string {
	w.t.Helper()
	_, err := w.operator().PutResource(w.t.Context(), adminclient.NewResource{ResourceSpec: adminclient.ResourceSpec{
		Audience: api, ClientID: "reports-api", Signing: adminclient.Signing{Ring: ring},
	}}, "")
	must(w.t, err)
	path := filepath.Join(w.t.TempDir(), ring+".jwks")
	w.export(ring, path)
	return path
}

func (w *world) export(ring, path string) {
	w.t.Helper()
	set, err := w.operator().ExportRing(w.t.Context(), ring, "")
	must(w.t, err)
	w.remember("secrets of ring "+ring, string(set))
	var parsed struct {
		Keys []struct{ K string } `json:"keys"`
	}
	must(w.t, json.Unmarshal(set, &parsed))
	for _, k := range parsed.Keys {
		w.remember("secret of ring "+ring, k.K)
	}
	must(w.t, jwk.WriteSecretFile(path, set))
}

// member is a guard that has the secrets of a file.
func (w *world) member(path string) *jeton.Guard {
	w.t.Helper()
	secrets, err := jwk.NewSecretFile(jwk.SecretFileConfig{Path: path, Now: w.clock.Now, Every: time.Nanosecond})
	must(w.t, err)
	c := w.guardConfig()
	c.SharedKeys = secrets
	g := guard(w.t, c)
	eventually(w.t, "a member is ready", 30*time.Second, g.Ready)
	return g
}

func header(t testing.TB, token string) (h struct{ Alg, Kid, Typ string }) {
	t.Helper()
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	must(t, err)
	must(t, json.Unmarshal(raw, &h))
	return h
}

// Tokens for an API that names a ring are signed with HS256 by the ring's
// secret. Everything else about them is as of any token: introspection,
// registry, revocation, and the reasons of refusals.
func TestSharedRing(t *testing.T) {
	w := newWorld(t, options{})
	before := w.machine()
	path := w.shares("fleet")
	g := w.member(path)
	token := w.machine()
	if h := header(t, token); h.Alg != "HS256" || h.Kid == "" || h.Typ != "at+jwt" {
		t.Fatalf("header %+v, want an HS256 access token with a kid", h)
	}
	if h := header(t, before); h.Alg != "ES256" {
		t.Errorf("a token from before: %s", h.Alg)
	}
	for what, token := range map[string]string{"HS256": token, "from before": before} {
		if got := refusal(t, g, token); got != "" {
			t.Errorf("%s: a member refuses: %s", what, got)
		}
		w.wantAlive(what, token)
	}
	plain := w.fleet(1)[0]
	if got := refusal(t, plain, token); got != jeton.ReasonWrongAlgorithm && got != jeton.ReasonUnknownKey {
		t.Errorf("a guard without the secrets: got %q", got)
	}
	if set := w.get("/jwks").body; strings.Contains(set, "oct") || strings.Contains(set, header(t, token).Kid) {
		t.Errorf("the published set has the secret, or its id: %s", set)
	}

	w.post("/revoke", "machine", "token", token).ok()
	w.wantDead("a revoked one", token)
	eventually(t, "the member refuses it", 10*time.Second, func() bool { return refusal(t, g, token) == jeton.ReasonRevoked })

	// A member can sign, and what it signs is still not issued.
	secrets, err := jwk.NewSecretFile(jwk.SecretFileConfig{Path: path})
	must(t, err)
	forged, err := jwt.Sign(secrets.Held().All()[0], "at+jwt", w.perfect(w.grantOf(w.machine())))
	must(t, err)
	if got := refusal(t, g, forged); got != jeton.ReasonUnknownToken {
		t.Errorf("a forged token: got %q, want unknown_token", got)
	}
	w.wantDead("a forged token", forged)

	// People's tokens, and refreshed ones.
	signedIn := w.signedIn("web", scope("openid", "read"))
	if h := header(t, signedIn.text("access_token")); h.Alg != "HS256" {
		t.Errorf("a person's token: %s", h.Alg)
	}
	if h := header(t, signedIn.text("id_token")); h.Alg != "RS256" {
		t.Errorf("an ID token: %s", h.Alg)
	}

	// Without the ring it is as before.
	_, err = w.operator().PutResource(t.Context(), adminclient.NewResource{ResourceSpec: adminclient.ResourceSpec{Audience: api, ClientID: "reports-api"}}, "")
	must(t, err)
	if h := header(t, w.machine()); h.Alg != "ES256" {
		t.Errorf("after the ring was taken away: %s", h.Alg)
	}
}

// JW-10, JW-11: no way of naming algorithms and keys makes one kind of key do
// the other's work, or one ring the work of another.
func TestJW_10_SharedRingConfusion(t *testing.T) {
	w := newWorld(t, options{})
	path := w.shares("fleet")
	must(t, w.operator().CreateRing(t.Context(), "other", ""))
	otherPath := filepath.Join(t.TempDir(), "other.jwks")
	w.export("other", otherPath)
	g := w.member(path)
	w.wantAlive("a good token", w.machine())
	claims := w.perfect(w.grantOf(w.machine()))

	held := func(path string) *jwk.Key {
		f, err := jwk.NewSecretFile(jwk.SecretFileConfig{Path: path})
		must(t, err)
		return f.Held().All()[0]
	}
	mine, other, access := held(path), held(otherPath), w.stolenKey()
	public, err := access.MarshalJSON()
	must(t, err)
	under := func(k *jwk.Key, kid string) *jwk.Key {
		renamed, err := k.WithID(kid)
		must(t, err)
		return renamed
	}
	asSecret := func(b []byte) *jwk.Key {
		k, err := jwk.New(jwk.HS256, b)
		must(t, err)
		return under(k, access.ID())
	}
	fresh, err := jwk.Generate(jwk.ES256)
	must(t, err)
	var set struct{ Keys []json.RawMessage }
	must(t, json.Unmarshal([]byte(w.get("/jwks").body), &set))

	for name, key := range map[string]*jwk.Key{
		"a public key, as text, is the secret":            asSecret(public),
		"a public key, as published, is the secret":       asSecret(set.Keys[0]),
		"an own key pair under the kid of the secret":     under(fresh, mine.ID()),
		"the access key under the kid of the secret":      under(access, mine.ID()),
		"the secret under the kid of the access key":      under(mine, access.ID()),
		"the other ring's secret":                         other,
		"the other ring's secret under this ring's kid":   under(other, mine.ID()),
		"this ring's secret under the kid of the other's": under(mine, other.ID()),
		"the refresh ring's key":                          w.keyOf(authority.RingRefresh),
		"the flow ring's key":                             w.keyOf(authority.RingFlow),
		"a secret of nobody's":                            generated(t),
		"this ring's secret under the refresh ring's kid": under(mine, w.keyOf(authority.RingRefresh).ID()),
	} {
		forged, err := jwt.Sign(key, "at+jwt", claims)
		must(t, err)
		switch got := refusal(t, g, forged); got {
		case jeton.ReasonUnknownKey, jeton.ReasonWrongAlgorithm, jeton.ReasonBadSignature:
		default:
			t.Errorf("%s: a member answers %q", name, got)
		}
		w.wantDead(name, forged)
		// Not one of them counts as forged with a stolen key, but those of the other ring.
	}
	// What swaps the header of a real token.
	token := w.machine()
	_, rest, _ := strings.Cut(token, ".")
	for _, alg := range []string{"none", "NONE", "hs256", "ES256", "RS256", "HS384", "HS512"} {
		swapped := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+alg+`","kid":"`+mine.ID()+`","typ":"at+jwt"}`)) + "." + rest
		if got := refusal(t, g, swapped); got != jeton.ReasonWrongAlgorithm && got != jeton.ReasonMalformed {
			t.Errorf("alg %s: got %q", alg, got)
		}
		w.wantDead("alg "+alg, swapped)
	}
	noKid := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"at+jwt"}`)) + "." + rest
	if got := refusal(t, g, noKid); got == "" {
		t.Error("a token without a kid is accepted")
	}
	if n := len(w.events(authority.EventForgedToken)); n > 1 {
		t.Errorf("%d events of forged tokens", n)
	}
}

func generated(t testing.TB) *jwk.Key {
	t.Helper()
	k, err := jwk.Generate(jwk.HS256)
	must(t, err)
	return k
}

// keyOf is the newest key of a ring.
func (w *world) keyOf(ring string) *jwk.Key {
	w.t.Helper()
	return w.parts.Keys.Usable(ring)[0]
}

// The primary and the secondary: a member that has read the file when the next
// secret was staged accepts tokens of both, at any time of the change.
func TestSharedRing_Rotation(t *testing.T) {
	w := newWorld(t, options{})
	path := w.shares("fleet")
	g := w.member(path)
	old := w.machine()
	why := keys.Why{Actor: authority.System, Reason: "test"}
	staged, err := w.parts.Keys.Stage(t.Context(), "fleet", "", why)
	must(t, err)
	if kid := header(t, w.machine()).Kid; kid == staged.ID {
		t.Fatal("a staged secret signs")
	}
	w.export("fleet", path)
	w.clock.advance(time.Second)
	_, err = w.parts.Keys.Activate(t.Context(), staged.ID, true, why)
	must(t, err)
	var next string
	eventually(t, "the next secret signs", 10*time.Second, func() bool { next = w.machine(); return header(t, next).Kid == staged.ID })
	for what, token := range map[string]string{"old": old, "new": next} {
		if got := refusal(t, g, token); got != "" {
			t.Errorf("%s: a member refuses: %s", what, got)
		}
		w.wantAlive(what, token)
	}
}

// The file of secrets is for the operator, and who asked for it is on record.
func TestSharedRing_Export(t *testing.T) {
	w := newWorld(t, options{})
	w.shares("fleet")
	if _, err := w.operator().ExportRing(t.Context(), "nothing", ""); err == nil {
		t.Error("a ring that is not there was exported")
	}
	for _, ring := range []string{authority.RingAccess, authority.RingRefresh, authority.RingFlow, authority.RingID} {
		if _, err := w.operator().ExportRing(t.Context(), ring, ""); err == nil {
			t.Errorf("ring %s was exported", ring)
		}
		if err := w.operator().CreateRing(t.Context(), ring, ""); err == nil {
			t.Errorf("ring %s was made", ring)
		}
	}
	if n := len(w.events(authority.EventRingExported)); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	stranger := &adminclient.Client{BaseURL: w.manage, Token: strings.Repeat("x", 40)}
	_, err := stranger.ExportRing(t.Context(), "fleet", "")
	if e, ok := err.(*adminclient.Error); !ok || e.Status != http.StatusUnauthorized { //nolint:errorlint // returned as it is
		t.Errorf("a stranger: got %v, want 401", err)
	}
}
