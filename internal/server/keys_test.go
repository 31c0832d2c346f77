package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/spread"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// kidOf is the key that a token names.
func kidOf(t testing.TB, token string) string {
	t.Helper()
	u, err := jwt.Parse(token, 0)
	must(t, err)
	return u.Header.KeyID
}

// A signing key is stolen and refused while programs and people use their tokens. Only
// tokens of that key are refused, at every guard and by introspection, programs have
// new ones without a gap, and nobody signs in again (SPECS 20.7, last row).
func TestKeys_CompromiseUnderLoad(t *testing.T) {
	w := newWorld(t, options{runs: true})
	guards := w.fleet(3)
	people := make([]answer, 5)
	for i := range people {
		people[i] = w.signedIn("web", scope("openid", "read"))
	}
	old := people[0].text("access_token")
	stolen := kidOf(t, old)
	for _, g := range guards {
		for _, a := range people {
			if reason := refusal(t, g, a.text("access_token")); reason != "" {
				t.Fatalf("before: %s", reason)
			}
		}
	}

	var stop atomic.Bool
	var minted, accepted atomic.Int64
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for !stop.Load() {
				token, kid, err := w.minted(w.parts.Tokens)
				if err != nil {
					t.Errorf("no token: %v", err)
					return
				}
				minted.Add(1)
				reason := refusal(t, guards[i%len(guards)], token)
				switch {
				case reason == "":
					accepted.Add(1)
				case kid == stolen && reason == jeton.ReasonKeyRevoked: // as it should be
				default:
					t.Errorf("a token of key %s (stolen: %v) is refused: %s", kid, kid == stolen, reason)
				}
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	next, err := w.operator().CompromiseKey(t.Context(), stolen, "found on a laptop")
	must(t, err)
	if next.ID == stolen || next.State != string(authority.KeyActive) {
		t.Errorf("answered with %+v", next)
	}
	// The node that answered refuses by then, and signs with another key.
	w.wantDead("introspection after the answer", old)
	for range 20 {
		token, kid, err := w.minted(w.parts.Tokens)
		must(t, err)
		if kid != next.ID {
			t.Fatalf("signed with %s after the answer", kid)
		}
		w.wantAlive("a token of the new key", token)
	}
	for _, g := range guards {
		eventually(t, "a guard refuses the stolen key", 5*time.Second, func() bool { return refusal(t, g, old) == jeton.ReasonKeyRevoked })
	}
	time.Sleep(200 * time.Millisecond)
	stop.Store(true)
	work.Wait()
	if accepted.Load() < 20 {
		t.Errorf("%d of %d tokens accepted: there was no load to speak of", accepted.Load(), minted.Load())
	}

	// What the thief makes is refused everywhere, however well it verifies.
	if set := w.get("/jwks").ok(); strings.Contains(set.body, stolen) {
		t.Error("the stolen key is still published")
	}
	// Everybody's next refresh works, and what comes of it too.
	for i, a := range people {
		again := w.refresh("web", a.text("refresh_token")).ok()
		if got := kidOf(t, again.text("access_token")); got != next.ID {
			t.Errorf("person %d: signed with %s", i, got)
		}
		for _, g := range guards {
			if reason := refusal(t, g, again.text("access_token")); reason != "" {
				t.Errorf("person %d: refused after a refresh: %s", i, reason)
			}
			if reason := refusal(t, g, a.text("access_token")); reason != jeton.ReasonKeyRevoked {
				t.Errorf("person %d: the old token: %q", i, reason)
			}
		}
		w.wantDead("introspection of an old token", a.text("access_token"))
		w.wantChallenge(a.text("access_token"), jeton.ReasonKeyRevoked)
	}
	w.wantEvents(authority.EventKeyCompromised, 1)
	if e := w.events(authority.EventKeyCompromised)[0]; e.Reason != "found on a laptop" || e.Data["kid"] != stolen || e.Data["successor"] != next.ID {
		t.Errorf("event %+v", e)
	}
	_, err = w.operator().CompromiseKey(t.Context(), stolen, "again")
	if adminclient.CodeOf(err) != adminclient.CodeConflict {
		t.Errorf("compromised twice: %v", err)
	}
}

// A stolen refresh key: its tokens are refused at once. By policy the grants end with
// their access tokens, or these live on; either way the person is still signed in, so
// that the app gets new tokens without asking anybody.
func TestKeys_CompromiseOfTheRefreshRing(t *testing.T) {
	for _, policy := range []string{"rotate", "end"} {
		t.Run(policy, func(t *testing.T) {
			w := newWorld(t, options{edit: func(c *config.Config) { c.Keys.RefreshCompromise = policy }})
			a := w.signedIn("web", scope("openid", "read"))
			g := w.grantOf(a.text("access_token"))
			session := g.SessionID
			next, err := w.operator().CompromiseKey(t.Context(), g.RefreshKey, "drill")
			must(t, err)
			w.refresh("web", a.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
			if policy == "end" {
				w.wantDead("the access token of an ended grant", a.text("access_token"))
			} else {
				w.wantAlive("the access token", a.text("access_token"))
			}
			if !w.sessionAlive(session) {
				t.Error("the person is signed out")
			}
			w.wantEvents(authority.EventRefreshReused, 0)
			b := w.signedIn("web", scope("openid", "read"))
			if got := w.grantOf(b.text("access_token")).RefreshKey; got != next.ID {
				t.Errorf("new refresh tokens are made with %s, want %s", got, next.ID)
			}
			w.refresh("web", b.text("refresh_token")).ok()
		})
	}
}

// Refresh tokens outlive the key they were made with: it goes on verifying while any of
// them may be alive, and the first use moves the grant to the next key.
func TestKeys_RefreshTokensOutliveARotation(t *testing.T) {
	w := newWorld(t, options{})
	a := w.signedIn("web")
	old := w.grantOf(a.text("access_token")).RefreshKey
	_, err := w.operator().RotateKey(t.Context(), authority.RingRefresh, adminclient.NewKey{}, "")
	must(t, err)
	w.clock.advance(w.config.Keys.Staging)
	must(t, w.parts.Keys.Step(t.Context()))
	w.clock.advance(12 * time.Hour)
	b := w.refresh("web", a.text("refresh_token")).ok()
	if got := w.grantOf(b.text("access_token")).RefreshKey; got == old {
		t.Error("the grant stays with the old key")
	}
	w.refresh("web", a.text("refresh_token")).ok() // the answer was lost: the predecessor, of the old key, works
	c := w.refresh("web", b.text("refresh_token")).ok()
	w.refresh("web", a.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.wantEvents(authority.EventRefreshReused, 1)
	w.refresh("web", c.text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
}

// A rehearsal says which guards could verify with a key before it is used.
func TestKeys_Rehearsal(t *testing.T) {
	w := newWorld(t, options{runs: true})
	api := w.operator()
	guards := w.fleet(2)
	lonely, line := w.wired()
	eventually(t, "ready", 10*time.Second, lonely.Ready)
	list, err := api.Keys(t.Context(), "access")
	must(t, err)
	holders := func(kid string) (have, lack int) {
		held, err := api.KeyHolders(t.Context(), kid)
		must(t, err)
		for _, g := range held.Guards {
			if g.Client != "reports-api" || g.From == "" {
				t.Errorf("guard %+v", g)
			}
			if g.Holds {
				have++
			} else {
				lack++
			}
		}
		return have, lack
	}
	eventually(t, "all hold the active key", 10*time.Second, func() bool { have, lack := holders(list.Items[0].ID); return have == 3 && lack == 0 })

	line.set(true)
	eventually(t, "the one that was cut off has gone", 10*time.Second, func() bool { have, _ := holders(list.Items[0].ID); return have == 2 })
	staged, err := api.StageKey(t.Context(), "access", adminclient.NewKey{}, "rehearsal")
	must(t, err)
	eventually(t, "the others hold the staged key", 10*time.Second, func() bool { have, lack := holders(staged.ID); return have == 2 && lack == 0 })
	line.set(false)
	eventually(t, "and so does it when it is back", 20*time.Second, func() bool { have, lack := holders(staged.ID); return have == 3 && lack == 0 })
	_, err = api.ActivateKey(t.Context(), staged.ID, adminclient.KeyChange{}, "")
	if adminclient.CodeOf(err) != adminclient.CodeConflict {
		t.Errorf("activated before verifiers that are no guards can know it: %v", err)
	}
	_, err = api.ActivateKey(t.Context(), staged.ID, adminclient.KeyChange{Force: true}, "")
	must(t, err)
	token := w.machine()
	if kidOf(t, token) != staged.ID {
		t.Error("the activated key does not sign")
	}
	for _, g := range append(guards, lonely) {
		if reason := refusal(t, g, token); reason != "" {
			t.Errorf("a guard that holds the key refuses its token: %s", reason)
		}
	}
}

// Tokens with made-up key ids cost a guard one fetch per cool-down, and nobody waits;
// the authority looks into its own rings and fetches nothing (SPECS JW-32).
func TestJW_32_RandomKidStormAtGuardAndAuthority(t *testing.T) {
	w := newWorld(t, options{runs: true})
	g, line := w.wired()
	eventually(t, "ready", 10*time.Second, g.Ready)
	live := w.machine()
	before := line.sets.Load()
	forged := make([]string, 2000)
	for i := range forged {
		key, err := jwk.Generate(jwk.Ed25519)
		must(t, err)
		key, err = key.WithID(fmt.Sprint("made up ", i))
		must(t, err)
		forged[i], err = jwt.Sign(key, jwt.AccessToken.Type, jwt.Claims{Issuer: w.issuer, Subject: "s", Audience: []string{api}, ClientID: "machine",
			IssuedAt: time.Now().Unix(), ExpiresAt: time.Now().Add(time.Minute).Unix(), ID: "x"})
		must(t, err)
	}
	var work sync.WaitGroup
	took := make([]time.Duration, len(forged))
	for part := range 20 {
		work.Go(func() {
			for i := part; i < len(forged); i += 20 {
				began := time.Now()
				if reason := refusal(t, g, forged[i]); reason != jeton.ReasonUnknownKey {
					t.Errorf("refused with %q", reason)
				}
				took[i] = time.Since(began)
				if reason := refusal(t, g, live); reason != "" {
					t.Errorf("a live token is refused in the storm: %s", reason)
				}
			}
		})
	}
	work.Wait()
	if n := line.sets.Load() - before; n > 1 {
		t.Errorf("%d fetches of the key set, want at most 1", n)
	}
	if p99 := spread.Of(took).P99; p99 > 200*time.Millisecond {
		t.Errorf("refusals took %v (p99)", p99)
	}
	for _, token := range forged[:50] {
		w.wantDead("introspection", token)
	}
	if e := w.events(authority.EventForgedToken); len(e) != 0 {
		t.Errorf("%d alarms for tokens that do not even verify", len(e))
	}
}

// The admin API shows the rings, and takes and gives keys without ever giving away a
// private one.
func TestKeys_AdminAPI(t *testing.T) {
	w := newWorld(t, options{})
	api := w.operator()
	list, err := api.Keys(t.Context(), "")
	must(t, err)
	for _, k := range list.Items {
		if k.State != "active" || k.NextState != "retiring" || !k.NextAt.After(w.clock.Now()) || strings.Contains(string(k.Public), `"d"`) {
			t.Errorf("key %+v", k)
		}
		if (k.Public == nil) != (k.Ring == "refresh" || k.Ring == "flow") {
			t.Errorf("public part of a key of ring %s: %s", k.Ring, k.Public)
		}
	}
	own, err := jwk.Generate(jwk.ES256)
	must(t, err)
	private, err := own.MarshalPrivate()
	must(t, err)
	w.remember("imported private key", strings.Split(strings.Split(string(private), `"d":"`)[1], `"`)[0])
	k, err := api.ImportKey(t.Context(), "access", adminclient.ImportedKey{Key: private}, "from the old system")
	must(t, err)
	if k.ID != own.Thumbprint() || k.State != "staged" {
		t.Errorf("imported %+v", k)
	}
	if got, err := api.Key(t.Context(), k.ID); err != nil || got.ID != k.ID {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := api.RetireKey(t.Context(), k.ID, adminclient.KeyChange{}, ""); err != nil {
		t.Errorf("a staged key is put away: %v", err)
	}
	public, err := own.Public().MarshalJSON()
	must(t, err)
	for what, err := range map[string]error{
		"a public key":        second(api.ImportKey(t.Context(), "access", adminclient.ImportedKey{Key: public}, "")),
		"nonsense":            second(api.ImportKey(t.Context(), "access", adminclient.ImportedKey{Key: []byte(`{"kty":"x"}`)}, "")),
		"compromise, no word": second(api.CompromiseKey(t.Context(), list.Items[0].ID, "")),
	} {
		if adminclient.CodeOf(err) != adminclient.CodeInvalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"unknown ring": second(api.StageKey(t.Context(), "nothing", adminclient.NewKey{}, "")),
		"unknown key":  second(api.RetireKey(t.Context(), "nothing", adminclient.KeyChange{}, "")),
		"which slot":   second(api.RotateKey(t.Context(), "id", adminclient.NewKey{}, "")),
	} {
		if adminclient.CodeOf(err) != adminclient.CodeNotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second(_ adminclient.Key, err error) error { return err }
