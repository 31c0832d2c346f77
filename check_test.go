package jeton

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

func TestCheck_GoodToken(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		if got, want := g.Mode(), Full; got != want {
			t.Errorf("mode %v, want %v", got, want)
		}
		if !g.Ready() {
			t.Error("not ready")
		}
		text := a.mint()
		want := claimsOf(t, text)
		for _, sight := range []string{"first", "second"} {
			token, err := g.Check(context.Background(), text, Scope("reports:read"), MaxAge(time.Minute), Clients("cli", "web"))
			if err != nil {
				t.Fatalf("%s sight: %v", sight, err)
			}
			if token.Subject != want.Subject || token.ClientID != "web" || token.Scope != want.Scope || token.ID != want.ID ||
				token.GrantID != want.GrantID || token.SessionID != want.SessionID || token.ExpiresAt().Unix() != want.ExpiresAt {
				t.Errorf("%s sight: %+v is not what the claims say", sight, *token)
			}
			if got := token.Claims().Audience; !slices.Equal(got, []string{testAudience}) {
				t.Errorf("audience %q", got)
			}
		}
		if got, want := a.tripCount(), 1; got != want {
			t.Errorf("%d questions to the authority, want %d", got, want)
		}
		if got, want := g.Stats().FirstSights, uint64(1); got != want {
			t.Errorf("%d signature checks, want %d", got, want)
		}
		if got, want := a.seenCreds, "reports-api:a+secret+of+the+api%3A+%25%2B%2F"; got != want {
			t.Errorf("credentials %q, want %q (RFC 6749 section 2.3.1)", got, want)
		}
	})
}

// RS-6, AT-3: what makes a token bad is found out on first sight, and again on each request.
func TestRS_6_AT_3_Refusals(t *testing.T) {
	tests := []struct {
		name    string
		token   func(a *fakeAuthority) string
		demands []Demand
		want    string
	}{
		{name: "expired", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.ExpiresAt = time.Now().Unix() })
		}, want: ReasonExpired},
		{name: "issued in the future", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.IssuedAt = time.Now().Unix() + 11 })
		}, want: ReasonIssuedInFuture},
		{name: "issued within the leeway", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.IssuedAt = time.Now().Unix() + 10 })
		}, want: ""},
		{name: "not yet valid", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.NotBefore = time.Now().Unix() + 11 })
		}, want: ReasonNotYetValid},
		{name: "other audience", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.Audience = []string{testAudience + "/"} })
		}, want: ReasonWrongAudience},
		{name: "one of several audiences", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.Audience = []string{"https://other.example.com", testAudience} })
		}, want: ""},
		{name: "other issuer", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.Issuer = testIssuer + "/" })
		}, want: ReasonWrongIssuer},
		{name: "no client_id", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.ClientID = "" })
		}, want: ReasonMissingClaim},
		{name: "no jti", token: func(a *fakeAuthority) string {
			c := goodClaims()
			c.ID = ""
			return a.sign("at+jwt", &c)
		}, want: ReasonMissingClaim},
		{name: "a jti the feed could not name", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.ID = "1" })
		}, want: ReasonUnknownToken},
		{name: "a sid the feed could not name", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.SessionID = strings.Repeat("/", 22) })
		}, want: ReasonUnknownToken},
		{name: "typ application/AT+JWT", token: func(a *fakeAuthority) string {
			c := goodClaims()
			token := a.sign("application/AT+JWT", &c)
			a.register(token, c.ID)
			return token
		}, want: ""},
		{name: "typ JWT", token: func(a *fakeAuthority) string { c := goodClaims(); return a.sign("JWT", &c) }, want: ReasonWrongType},
		{name: "an ID token", token: func(a *fakeAuthority) string { c := goodClaims(); return a.sign("", &c) }, want: ReasonWrongType},
		{name: "a logout token", token: func(a *fakeAuthority) string { c := goodClaims(); return a.sign("logout+jwt", &c) }, want: ReasonWrongType},
		{name: "algorithm none", token: func(a *fakeAuthority) string {
			_, rest, _ := strings.Cut(a.mint(), ".")
			return base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"at+jwt","alg":"none"}`)) + "." + rest
		}, want: ReasonWrongAlgorithm},
		{name: "HMAC with the public key", token: func(a *fakeAuthority) string {
			public, _ := a.key.MarshalJSON()
			secret, _ := jwk.New(jwk.HS256, public)
			secret, _ = secret.WithID(a.key.ID())
			c := goodClaims()
			token, _ := jwt.Sign(secret, "at+jwt", &c)
			return token
		}, want: ReasonWrongAlgorithm},
		{name: "a key the authority does not have", token: func(a *fakeAuthority) string {
			other, _ := jwk.Generate(jwk.ES256)
			c := goodClaims()
			token, _ := jwt.Sign(other, "at+jwt", &c)
			return token
		}, want: ReasonUnknownKey},
		{name: "a key of the same name", token: func(a *fakeAuthority) string {
			other, _ := jwk.Generate(jwk.ES256)
			other, _ = other.WithID(a.key.ID())
			c := goodClaims()
			token, _ := jwt.Sign(other, "at+jwt", &c)
			return token
		}, want: ReasonBadSignature},
		{name: "never issued", token: func(a *fakeAuthority) string {
			c := goodClaims()
			return a.sign("at+jwt", &c)
		}, want: ReasonUnknownToken},
		{name: "the jti of a live token with other claims", token: func(a *fakeAuthority) string {
			c := *claimsOf(a.t, a.mint())
			forged := goodClaims()
			forged.ID, forged.Scope = c.ID, "admin"
			return a.sign("at+jwt", &forged)
		}, want: ReasonUnknownToken},
		{name: "dead by the registry", token: func(a *fakeAuthority) string {
			token := a.mint()
			id, _ := revocation.ParseID(claimsOf(a.t, token).ID)
			a.change(func() { a.dead[id] = ReasonSessionEnded })
			return token
		}, want: ReasonSessionEnded},
		{name: "dead by the registry, in words we do not know", token: func(a *fakeAuthority) string {
			token := a.mint()
			id, _ := revocation.ParseID(claimsOf(a.t, token).ID)
			a.change(func() { a.dead[id] = "some later reason" })
			return token
		}, want: ReasonRevoked},
		{name: "bound to a key", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.Confirmation.KeyThumbprint = a.key.Thumbprint() })
		}, want: ReasonProofMissing},
		{name: "bound to a certificate", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.Confirmation.CertificateThumbprint = a.key.Thumbprint() })
		}, want: ReasonUnsupported},
		{name: "bound to a key and a certificate", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) {
				c.Confirmation = jwt.Confirmation{KeyThumbprint: a.key.Thumbprint(), CertificateThumbprint: a.key.Thumbprint()}
			})
		}, want: ReasonUnsupported},
		{name: "bound to a thumbprint that is none", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.Confirmation.KeyThumbprint = "short" })
		}, want: ReasonUnsupported},
		{name: "made for one URL", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.URL = "https://api.example.com/v1/x" })
		}, want: ReasonWrongURL},
		{name: "part of a scope's name", token: func(a *fakeAuthority) string { return a.mint() }, demands: []Demand{Scope("reports")}, want: ReasonInsufficientScope},
		{name: "one scope of two", token: func(a *fakeAuthority) string { return a.mint() },
			demands: []Demand{Scope("reports:read", "reports:write")}, want: ReasonInsufficientScope},
		{name: "two demands of scopes", token: func(a *fakeAuthority) string { return a.mint() },
			demands: []Demand{Scope("reports:read"), Scope("reports:write")}, want: ReasonInsufficientScope},
		{name: "no scope at all", token: func(a *fakeAuthority) string { return a.mint(func(c *jwt.Claims) { c.Scope = "" }) },
			demands: []Demand{Scope("openid")}, want: ReasonInsufficientScope},
		{name: "too old for the route", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.IssuedAt -= 61 })
		}, demands: []Demand{MaxAge(time.Minute)}, want: ReasonTooOld},
		{name: "just young enough", token: func(a *fakeAuthority) string {
			return a.mint(func(c *jwt.Claims) { c.IssuedAt -= 60 })
		}, demands: []Demand{MaxAge(time.Minute)}, want: ""},
		{name: "another client", token: func(a *fakeAuthority) string { return a.mint() }, demands: []Demand{Clients("spa", "cli")}, want: ReasonWrongClient},
		{name: "no client allowed", token: func(a *fakeAuthority) string { return a.mint() }, demands: []Demand{Clients()}, want: ReasonWrongClient},
		{name: "empty", token: func(*fakeAuthority) string { return "" }, want: ReasonMalformed},
		{name: "JSON serialisation", token: func(*fakeAuthority) string { return `{"payload":"e30","signature":""}` }, want: ReasonMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
				token := test.token(a)
				for sight := range 3 {
					if got := check(t, g, token, test.demands...); got != test.want {
						t.Errorf("sight %d: %q, want %q", sight, got, test.want)
					}
				}
			})
		})
	}
}

func TestCheck_SeenTokenExpires(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint(func(c *jwt.Claims) { c.ExpiresAt = c.IssuedAt + 60 })
		if got := check(t, g, token, MaxAge(30*time.Second)); got != "" {
			t.Fatal(got)
		}
		time.Sleep(31 * time.Second)
		if got, want := check(t, g, token, MaxAge(30*time.Second)), ReasonTooOld; got != want {
			t.Errorf("after 31 s: %q, want %q", got, want)
		}
		time.Sleep(29*time.Second - time.Nanosecond)
		if got, want := check(t, g, token), ""; got != want {
			t.Errorf("a nanosecond before exp: %q, want %q", got, want)
		}
		time.Sleep(time.Nanosecond)
		if got, want := check(t, g, token), ReasonExpired; got != want {
			t.Errorf("at exp: %q, want %q", got, want)
		}
	})
}

func TestCheck_Leeway(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		seen, fresh := a.mint(), a.mint()
		if got := check(t, g, seen); got != "" {
			t.Fatal(got)
		}
		time.Sleep(305*time.Second - time.Nanosecond)
		for _, token := range []string{seen, fresh} {
			if got := check(t, g, token); got != "" {
				t.Errorf("within the leeway: %q", got)
			}
		}
		time.Sleep(time.Nanosecond)
		for _, token := range []string{seen, fresh} {
			if got, want := check(t, g, token), ReasonExpired; got != want {
				t.Errorf("after it: %q, want %q", got, want)
			}
		}
	}, func(c *Config) { c.Leeway = 5 * time.Second })
}

func TestCheck_Revocations(t *testing.T) {
	tests := []struct {
		name   string
		revoke func(a *fakeAuthority, c *jwt.Claims)
		want   string
	}{
		{"token", func(a *fakeAuthority, c *jwt.Claims) { a.revoke(revocation.Token, c.ID) }, ReasonRevoked},
		{"grant", func(a *fakeAuthority, c *jwt.Claims) { a.revoke(revocation.Grant, c.GrantID) }, ReasonRevoked},
		{"session", func(a *fakeAuthority, c *jwt.Claims) { a.revoke(revocation.Session, c.SessionID) }, ReasonSessionEnded},
		{"key", func(a *fakeAuthority, _ *jwt.Claims) {
			a.append(revocation.Entry{Kind: revocation.Key, Name: a.key.ID()})
		}, ReasonKeyRevoked},
		{"of others", func(a *fakeAuthority, _ *jwt.Claims) {
			for _, kind := range []revocation.Kind{revocation.Token, revocation.Grant, revocation.Session} {
				a.revoke(kind, newID())
			}
			a.append(revocation.Entry{Kind: revocation.Key, Name: "another"})
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
				seen, fresh := a.mint(), a.mint()
				if got := check(t, g, seen, SkipRegistry()); got != "" {
					t.Fatal(got)
				}
				for _, token := range []string{seen, fresh} {
					test.revoke(a, claimsOf(t, token))
				}
				synctest.Wait()
				for _, token := range []string{seen, fresh, seen, fresh} {
					// The registry of this authority does not know of it: the view alone refuses.
					if got := check(t, g, token, SkipRegistry()); got != test.want {
						t.Errorf("%q, want %q", got, test.want)
					}
				}
				time.Sleep(time.Second)
				if got := check(t, g, seen); got != test.want {
					t.Errorf("a second later: %q, want %q", got, test.want)
				}
			})
		})
	}
}

// A revocation that the feed brings while the registry is asked, and whose answer was given before, counts.
func TestCheck_RevokedWhileAsking(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint()
		a.setHold(true)
		var got string
		done := make(chan struct{})
		go func() {
			defer close(done)
			got = check(t, g, token)
		}()
		synctest.Wait()
		a.revoke(revocation.Token, claimsOf(t, token).ID)
		synctest.Wait()
		a.setHold(false)
		<-done
		if want := ReasonRevoked; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestCheck_SkipRegistryIsNotRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		c := goodClaims()
		forged := a.sign("at+jwt", &c)
		if got := check(t, g, forged, SkipRegistry()); got != "" {
			t.Errorf("with SkipRegistry: %q", got)
		}
		if got, want := a.tripCount(), 0; got != want {
			t.Errorf("%d questions, want %d", got, want)
		}
		if got, want := check(t, g, forged), ReasonUnknownToken; got != want {
			t.Errorf("without: %q, want %q", got, want)
		}
		// The authority's word also counts on the route that does not ask for it.
		if got, want := check(t, g, forged, SkipRegistry()), ReasonUnknownToken; got != want {
			t.Errorf("with SkipRegistry, after the answer: %q, want %q", got, want)
		}
	})
}

// The first sight of one token by many is one signature check, and the questions of many tokens travel
// together.
func TestCheck_FirstSightOnce(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		a.setHold(true)
		const distinct, each = 600, 5
		var work sync.WaitGroup
		for range distinct {
			token := a.mint()
			for range each {
				work.Go(func() {
					if got := check(t, g, token); got != "" {
						t.Error(got)
					}
				})
			}
		}
		synctest.Wait()
		if got, want := a.tripCount(), maxTrips; got != want {
			t.Errorf("%d round trips under way, want %d", got, want)
		}
		a.setHold(false)
		work.Wait()
		if got, want := g.Stats().FirstSights, uint64(distinct); got != want {
			t.Errorf("%d signature checks, want %d", got, want)
		}
		asked := 0
		for _, n := range a.trips {
			if asked += n; n > revocation.MaxSightings {
				t.Errorf("%d tokens in one question", n)
			}
		}
		// A token whose question had left before another asked for it may be asked about twice.
		if asked < distinct || asked > distinct+maxTrips*revocation.MaxSightings {
			t.Errorf("asked about %d tokens, want about %d", asked, distinct)
		}
		if got, most := len(a.trips), 8; got > most {
			t.Errorf("%d round trips, want at most %d", got, most)
		}
	})
}

// One who gives up does not fail those who wait for the same token.
func TestCheck_LeaderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newFakeAuthority(t)
		slow := &slowKeys{RoundTripper: a}
		g := a.guard(func(c *Config) { c.HTTPClient = &http.Client{Transport: slow} })
		defer func() { _ = g.Close() }()
		token := a.mint()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var first, second string
		var work sync.WaitGroup
		work.Go(func() {
			_, err := g.Check(ctx, token)
			first = reasonOf(t, err)
		})
		synctest.Wait()
		work.Go(func() { second = check(t, g, token) })
		work.Wait()
		if want := ReasonKeysUnavailable; first != want {
			t.Errorf("the one who gave up: %q, want %q", first, want)
		}
		if second != "" {
			t.Errorf("the one who waited: %q", second)
		}
	})
}

// slowKeys answers for keys after three seconds.
type slowKeys struct{ http.RoundTripper }

func (s *slowKeys) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/jwks" {
		time.Sleep(3 * time.Second)
	}
	return s.RoundTripper.RoundTrip(r)
}

// A flood of the same bad token costs one signature check and one question, for a while.
func TestCheck_BadTokenFlood(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		c := goodClaims()
		forged := a.sign("at+jwt", &c)
		good := a.mint()
		broken := good[:len(good)-4] + "AAAA"
		for range 1000 {
			if got, want := check(t, g, forged), ReasonUnknownToken; got != want {
				t.Fatalf("%q, want %q", got, want)
			}
			if got, want := check(t, g, broken), ReasonBadSignature; got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
		if got, want := g.Stats().FirstSights, uint64(2); got != want {
			t.Errorf("%d signature checks, want %d", got, want)
		}
		if got, want := a.tripCount(), 1; got != want {
			t.Errorf("%d questions, want %d", got, want)
		}
		time.Sleep(2 * time.Second)
		check(t, g, broken)
		if got, want := g.Stats().FirstSights, uint64(3); got != want {
			t.Errorf("%d signature checks after two seconds, want %d", got, want)
		}
	})
}

// Issue 3, item 5: what could confuse a cache of verified tokens.
func TestCheck_CacheAttacks(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		victim, other := a.mint(), a.mint(func(c *jwt.Claims) { c.Scope = "admin" })
		for _, token := range []string{victim, other} {
			if got := check(t, g, token); got != "" {
				t.Fatal(got)
			}
		}
		v, o := strings.Split(victim, "."), strings.Split(other, ".")
		admin := func(c *jwt.Claims) { c.Scope = "admin" }
		forged := *claimsOf(t, victim)
		admin(&forged)
		payload, err := forged.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		tests := []struct{ name, token, want string }{
			{"signature of a seen token, payload of another", o[0] + "." + o[1] + "." + v[2], ReasonBadSignature},
			{"signature of a seen token, payload changed", v[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + v[2], ReasonBadSignature},
			{"payload of a seen token, signature of another", v[0] + "." + v[1] + "." + o[2], ReasonBadSignature},
			{"payload of a seen token, no signature", v[0] + "." + v[1] + ".", ReasonMalformed},
			{"the signature's twin", v[0] + "." + v[1] + "." + twin(t, v[2]), ReasonUnknownToken},
			{"a byte more", victim + "A", ReasonBadSignature},
			{"a byte less", victim[:len(victim)-1], ReasonMalformed},
			{"a dot more", victim + ".", ReasonMalformed},
			{"padding", victim + "=", ReasonMalformed},
			{"a line break", victim + "\n", ReasonMalformed},
			{"only its beginning", victim[:len(victim)/2], ReasonMalformed},
			{"a megabyte of dots", strings.Repeat(".", 1<<20), ReasonMalformed},
			{"a megabyte more", victim + strings.Repeat("A", 1<<20), ReasonMalformed},
		}
		for _, test := range tests {
			for range 2 {
				if got := check(t, g, test.token); got != test.want {
					t.Errorf("%s: %q, want %q", test.name, got, test.want)
				}
			}
		}
		if got := check(t, g, victim); got != "" {
			t.Errorf("the victim afterwards: %q", got)
		}
	})
}

// twin is the other signature that verifies under ECDSA: s becomes n - s. It is legal (JW-12), but the token
// with it is not the one that was issued.
func twin(t *testing.T, sig string) string {
	raw, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	n.Sub(n, new(big.Int).SetBytes(raw[32:])).FillBytes(raw[32:])
	return base64.RawURLEncoding.EncodeToString(raw)
}

// 100,000 distinct garbage tokens leave nothing behind but a bounded memory of some, and cost little each.
func TestCheck_GarbageIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		good := a.mint()
		parts := strings.Split(good, ".")
		for i := range 100_000 {
			token := fmt.Sprintf("%s.%s%08d.%s", parts[0], parts[1][:len(parts[1])-8], i, parts[2])
			switch i % 4 {
			case 0:
				token = fmt.Sprintf("%d.%d.%d", i, i, i)
			case 1:
				token = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"typ":"at+jwt","alg":"ES256","kid":"%d"}`, i)) + "." + parts[1] + "." + parts[2]
			case 2:
				token = strings.Repeat("A", i%2000)
			case 3:
				if i%100 != 3 {
					continue // signature checks are slow: a thousand of them will do
				}
			}
			if got := check(t, g, token); got == "" {
				t.Fatal("accepted")
			}
		}
		s := g.Stats()
		if s.SeenTokens != 0 || s.SeenBytes != 0 {
			t.Errorf("%d garbage tokens (%d bytes) among the good", s.SeenTokens, s.SeenBytes)
		}
		if s.RefusedTokens > refusedEntries || s.RefusedBytes > refusedBytes {
			t.Errorf("%d refused tokens in %d bytes", s.RefusedTokens, s.RefusedBytes)
		}
		if got, most := s.KeyFetches, uint64(3); got > most {
			t.Errorf("%d key fetches, want at most %d", got, most)
		}
		if got, want := a.tripCount(), 0; got != want {
			t.Errorf("%d questions, want %d", got, want)
		}
		garbage := strings.Repeat(".", 1<<20)
		if allocs := testing.AllocsPerRun(100, func() { check(t, g, garbage) }); allocs > 12 {
			t.Errorf("%v allocations for a megabyte of dots", allocs)
		}
	})
}

func TestCheck_SeenTokenAllocatesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint()
		decide := func() {
			if _, err := g.Check(context.Background(), token, Scope("reports:read", "openid"), Clients("web"), MaxAge(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		decide()
		if allocs := testing.AllocsPerRun(100, decide); allocs != 0 {
			t.Errorf("%v allocations", allocs)
		}
	})
}

// The feed brings the keys along: no fetch, and nobody waits. What concerns other rings is not for a guard.
func TestCheck_NewKeyInFeed(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		fresh, err := jwk.Generate(jwk.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		data := func(keys ...*jwk.Key) json.RawMessage {
			b, err := json.Marshal(map[string]any{"version": 7, "keys": keys})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		before, old := a.keyFetches, a.mint()
		a.append(revocation.Entry{Kind: revocation.KeyRing, Name: "id", Data: data(fresh)})
		a.append(revocation.Entry{Kind: revocation.KeyRing, Name: "refresh", Data: json.RawMessage(`{"version":3}`)})
		synctest.Wait()
		if got := check(t, g, old); got != "" {
			t.Errorf("after news of other rings: %q", got)
		}
		a.append(revocation.Entry{Kind: revocation.KeyRing, Name: "access", Data: data(fresh.Public(), a.key.Public())})
		synctest.Wait()
		a.change(func() { a.key = fresh })
		if got := check(t, g, a.mint()); got != "" {
			t.Errorf("signed with the new key: %q", got)
		}
		if a.keyFetches != before {
			t.Errorf("%d fetches", a.keyFetches-before)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if held := a.reported(); !strings.Contains(held, fresh.ID()) || len(strings.Fields(held)) != 2 {
			t.Errorf("the authority was told of %q", held)
		}
		if !g.Ready() {
			t.Error("not ready")
		}
	})
}

// While a guard knows that keys have changed and cannot fetch them, it does not say of a token that its key is
// unknown.
func TestCheck_ChangedKeysOutOfReach(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		old := a.mint()
		fresh, err := jwk.Generate(jwk.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		a.change(func() { a.keysDown = true })
		a.append(revocation.Entry{Kind: revocation.KeyRing, Name: "access"})
		a.change(func() { a.published = []*jwk.Key{fresh, a.key}; a.key = fresh })
		synctest.Wait()
		if got := check(t, g, a.mint()); got != ReasonKeysUnavailable {
			t.Errorf("signed with the new key: %q, want %q", got, ReasonKeysUnavailable)
		}
		if got := check(t, g, old); got != "" {
			t.Errorf("signed with the old key: %q", got)
		}
		if g.Ready() {
			t.Error("ready without the new key")
		}
		a.change(func() { a.keysDown = false })
		time.Sleep(10 * time.Second)
		if got := check(t, g, a.mint()); got != "" || !g.Ready() {
			t.Errorf("signed with the new key: %q, ready %v", got, g.Ready())
		}
	})
}

func TestCheck_NewKeyByFeed(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		fresh, err := jwk.Generate(jwk.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		before := a.keyFetches
		a.append(revocation.Entry{Kind: revocation.KeyRing})
		synctest.Wait()
		a.change(func() { a.published = []*jwk.Key{fresh, a.key}; a.key = fresh })
		a.append(revocation.Entry{Kind: revocation.KeyRing})
		synctest.Wait()
		if got, want := a.keyFetches-before, 2; got != want {
			t.Errorf("%d fetches, want %d", got, want)
		}
		if got := check(t, g, a.mint()); got != "" {
			t.Errorf("signed with the new key: %q", got)
		}
		if got, want := a.keyFetches-before, 2; got != want {
			t.Errorf("%d fetches after the check, want %d", got, want)
		}
	})
}
