package jwt_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

func TestSign_HeaderAndPayload(t *testing.T) {
	key, _ := generate(t, jwk.Ed25519).WithID("k1")
	for typ, want := range map[string]string{
		"at+jwt": `{"typ":"at+jwt","alg":"Ed25519","kid":"k1"}`,
		"":       `{"alg":"Ed25519","kid":"k1"}`,
	} {
		token, err := jwt.SignPayload(key, typ, []byte(` {"b":1, "a":"<&>"} `))
		if err != nil {
			t.Fatal(err)
		}
		part := strings.Split(token, ".")
		header, _ := base64.RawURLEncoding.DecodeString(part[0])
		payload, _ := base64.RawURLEncoding.DecodeString(part[1])
		if string(header) != want || string(payload) != ` {"b":1, "a":"<&>"} ` {
			t.Errorf("header %s, payload %s", header, payload)
		}
	}
	u, err := jwt.Parse(sign(t, key, "", map[string]any{"a": "<&>"}), 0)
	if err != nil || string(u.Claims.Payload()) != `{"a":"<&>"}` {
		t.Errorf("encoded as %s, %v", u.Claims.Payload(), err)
	}
}

func TestSign_ClaimsRoundTrip(t *testing.T) {
	key := generate(t, jwk.HS256)
	want := jwt.Claims{
		Issuer: issuer, Subject: "s\"\\\x01é\u2028😀", Audience: []string{"a", "b"}, ClientID: "c", AuthorizedParty: "a", IssuedAt: 1, ExpiresAt: 1 << 53, NotBefore: 2,
		ID: "j", Scope: "a b", SessionID: "sid", GrantID: "gid", AuthTime: 3, ACR: "1", AMR: []string{"pwd"}, Nonce: "n", AccessTokenHash: "h", CodeHash: "ch",
		Confirmation: jwt.Confirmation{KeyThumbprint: "jkt", CertificateThumbprint: "x5t"}, Actor: json.RawMessage(`{"sub":"x"}`), Events: json.RawMessage(`{}`),
		URL: "https://x/?a=1&b=<2>", URLHash: "u", Method: "GET", Uses: 3, HTTPMethod: "POST", HTTPURI: "u", TokenHash: "t",
	}
	for _, given := range []any{want, &want} {
		u, err := jwt.Parse(sign(t, key, "", given), 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, u.Claims, cmpopts.IgnoreUnexported(jwt.Claims{})); diff != "" {
			t.Error(diff)
		}
	}
	b, err := json.Marshal(want)
	if err != nil || !json.Valid(b) {
		t.Fatalf("%s: %v", b, err)
	}
	if b, _ = json.Marshal(jwt.Claims{}); string(b) != "{}" {
		t.Errorf("no claims are %s", b)
	}
	extra := jwt.Claims{Subject: "s", Extra: map[string]any{"b": 1, "a": "x"}}
	if b, _ = json.Marshal(extra); string(b) != `{"sub":"s","a":"x","b":1}` {
		t.Errorf("extra claims: %s", b)
	}
	extra.Extra["iss"] = "somebody else"
	if _, err := jwt.Sign(key, "", extra); err == nil {
		t.Error("an extra claim set iss")
	}
}

func TestSign_Refuses(t *testing.T) {
	key := generate(t, jwk.ES256)
	for name, p := range map[string]string{
		"array": `[]`, "empty": ``, "duplicate": `{"a":1,"a":2}`, "exp string": `{"exp":"1"}`, "invalid UTF-8": "{\"a\":\"\xff\"}", "trailing": `{}x`,
	} {
		if _, err := jwt.SignPayload(key, "", []byte(p)); !errors.Is(err, jwt.ErrMalformed) && jwt.ReasonOf(err) != jwt.ReasonMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := jwt.Sign(key, "", jwt.Claims{Subject: "\xff"}); err == nil {
		t.Error("signed a claim that is not UTF-8")
	}
	if _, err := jwt.Sign(key.Public(), "at+jwt", claims()); !errors.Is(err, jwk.ErrNoPrivateKey) {
		t.Errorf("signing with a public key: %v", err)
	}
	if _, err := jwt.Sign(nil, "at+jwt", claims()); !errors.Is(err, jwk.ErrNoPrivateKey) {
		t.Errorf("signing without a key: %v", err)
	}
	if _, err := jwt.Sign(key, "a\nb", claims()); err == nil {
		t.Error("signed with a line break in typ")
	}
	if _, err := jwt.Sign(key, "", make(chan int)); err == nil {
		t.Error("signed a channel")
	}
}

// Claims that Sign does not look at again are read back as they were: what it
// leaves out, it may leave out.
func TestSign_PlainClaimsAreReadable(t *testing.T) {
	key := generate(t, jwk.HS256)
	// Few of the members are bad: the others must not be hidden behind one that is.
	odd := func(r *rapid.T, label string) bool { return rapid.IntRange(0, 30).Draw(r, label) == 0 }
	number := rapid.Custom(func(r *rapid.T) int64 {
		if odd(r, "odd") {
			return rapid.OneOf(rapid.Int64Range(-3, -1), rapid.Int64Range(1<<53-3, 1<<53+3), rapid.Int64()).Draw(r, "number")
		}
		return rapid.Int64Range(0, 1<<53).Draw(r, "number")
	})
	text := rapid.Custom(func(r *rapid.T) string {
		if odd(r, "odd") {
			return "\xff"
		}
		return rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune{'"', '\\', 0, '\n', 0x2028, 0x1f511, 'a'}))).Draw(r, "text")
	})
	rapid.Check(t, func(r *rapid.T) {
		c := jwt.Claims{
			Issuer: text.Draw(r, "iss"), Subject: text.Draw(r, "sub"), Audience: rapid.SliceOfN(text, 0, 3).Draw(r, "aud"),
			ClientID: text.Draw(r, "client_id"), ID: text.Draw(r, "jti"), Scope: text.Draw(r, "scope"), ACR: text.Draw(r, "acr"),
			AMR: rapid.SliceOfN(text, 0, 3).Draw(r, "amr"), IssuedAt: number.Draw(r, "iat"), NotBefore: number.Draw(r, "nbf"),
			ExpiresAt: number.Draw(r, "exp"), AuthTime: number.Draw(r, "auth_time"), Uses: number.Draw(r, "uses"), Version: number.Draw(r, "ver"),
			Confirmation: jwt.Confirmation{KeyThumbprint: text.Draw(r, "jkt")},
		}
		payload, err := c.AppendJSON(nil)
		if err != nil {
			r.Fatal(err)
		}
		_, plain := jwt.Sign(key, "JWT", &c)
		_, looked := jwt.SignPayload(key, "JWT", payload)
		if (plain == nil) != (looked == nil) {
			r.Fatalf("%s: signed with %v, and when it was looked at %v", payload, plain, looked)
		}
	})
}
