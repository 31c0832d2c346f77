package jwt_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	golangjwt "github.com/golang-jwt/jwt/v5"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// Tokens of ours are read by two other libraries and theirs by us, for every
// algorithm. Ed25519 by its new name is not in go-jose; its old name is.
func TestDifferential_BothDirections(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec := func(c elliptic.Curve) crypto.Signer {
		k, _ := ecdsa.GenerateKey(c, rand.Reader)
		return k
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	secret := make([]byte, 64)
	_, _ = rand.Read(secret)
	golangjwt.MarshalSingleStringAsArray = false
	for alg, private := range map[jwk.Algorithm]any{
		jwk.ES256: ec(elliptic.P256()), jwk.ES384: ec(elliptic.P384()), jwk.ES512: ec(elliptic.P521()), jwk.EdDSA: ed,
		jwk.RS256: rsaKey, jwk.RS384: rsaKey, jwk.RS512: rsaKey, jwk.PS256: rsaKey, jwk.PS384: rsaKey, jwk.PS512: rsaKey,
		jwk.HS256: secret, jwk.HS384: secret, jwk.HS512: secret,
	} {
		t.Run(string(alg), func(t *testing.T) {
			key, err := jwk.New(alg, private)
			if err != nil {
				t.Fatal(err)
			}
			public := private
			if signer, ok := private.(crypto.Signer); ok {
				public = signer.Public()
			}
			v := newVerifier(t, config(t, key))
			for range 5 {
				ours := sign(t, key, "at+jwt", claims())
				parser := golangjwt.NewParser(golangjwt.WithValidMethods([]string{string(alg)}), golangjwt.WithIssuer(issuer),
					golangjwt.WithAudience(audience), golangjwt.WithTimeFunc(func() time.Time { return now }))
				if _, err := parser.Parse(ours, func(*golangjwt.Token) (any, error) { return public, nil }); err != nil {
					t.Errorf("golang-jwt refuses ours: %v", err)
				}
				parsed, err := jose.ParseSignedCompact(ours, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
				if err != nil {
					t.Fatalf("go-jose cannot parse ours: %v", err)
				}
				if _, err := parsed.Verify(public); err != nil {
					t.Errorf("go-jose refuses ours: %v", err)
				}

				theirs := golangjwt.NewWithClaims(golangjwt.GetSigningMethod(string(alg)), golangjwt.MapClaims{
					"iss": issuer, "aud": []string{audience}, "sub": "s", "client_id": "c", "jti": "j", "iat": now.Unix(), "exp": now.Unix() + 60,
				})
				theirs.Header["typ"], theirs.Header["kid"] = "at+jwt", key.ID()
				token, err := theirs.SignedString(private)
				if err != nil {
					t.Fatal(err)
				}
				accept(t, v, token)

				signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: private, KeyID: key.ID()}},
					(&jose.SignerOptions{}).WithType("at+jwt"))
				if err != nil {
					t.Fatal(err)
				}
				payload, _ := json.Marshal(claims())
				signed, err := signer.Sign(payload)
				if err != nil {
					t.Fatal(err)
				}
				token, err = signed.CompactSerialize()
				if err != nil {
					t.Fatal(err)
				}
				accept(t, v, token)
			}
		})
	}
}

// Whatever parses has one spelling only, and is something another strict
// library takes for the same token.
func FuzzParse(f *testing.F) {
	for _, token := range []string{v4Access, v4Proof, v4Assertion, v4Logout, v3Token, v3Resource} {
		f.Add(token)
	}
	key, err := jwk.Generate(jwk.Ed25519)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(craft(f, key, header(key, `,"x":[{"a":"\ud83d\ude00"}]`), payload(`,"amr":["a"],"act":{"sub":"x"},"nbf":1.5e3,"é":null`)))
	f.Add(craft(f, key, header(key, `,"crit":[]`), payload(`,"exp":1`)))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		u, err := jwt.Parse(token, 0)
		if err != nil {
			if jwt.ReasonOf(err) != jwt.ReasonMalformed {
				t.Fatalf("refused as %v", err)
			}
			return
		}
		if again := b64(string(u.RawHeader)) + "." + b64(string(u.Claims.Payload())) + "." + b64(string(u.Signature)); again != token {
			t.Fatalf("%q is another spelling of %q", token, again)
		}
		var header, claims map[string]json.RawMessage
		if err := json.Unmarshal(u.RawHeader, &header); err != nil {
			t.Fatalf("header is no JSON object: %v", err)
		}
		if err := json.Unmarshal(u.Claims.Payload(), &claims); err != nil {
			t.Fatalf("claims are no JSON object: %v", err)
		}
		for name, value := range claims {
			if raw, ok := u.Claims.Claim(name); !ok || string(raw) != string(value) {
				t.Fatalf("claim %q is %s, others read %s", name, raw, value)
			}
		}
		// go-jose reads keys and certificates in the header, and refuses the
		// token if it cannot; here they are read over. Without them it agrees.
		for _, name := range []string{"jwk", "x5c", "x5u", "jku", "x5t", "x5t#S256", "nonce", "iat", "cty", "b64", "kid", "typ", "url", "htu"} {
			if _, ok := header[name]; ok && name != "kid" && name != "typ" {
				return
			}
		}
		parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(u.Header.Algorithm)})
		if err != nil {
			t.Fatalf("go-jose refuses %q: %v", token, err)
		}
		if got := parsed.UnsafePayloadWithoutVerification(); string(got) != string(u.Claims.Payload()) {
			t.Fatalf("go-jose reads another payload: %s", got)
		}
	})
}
