package jeton

import (
	"context"
	"errors"
	"testing"

	"github.com/jetonhq/jeton/jwk"
)

func TestConfig_SharedKeys(t *testing.T) {
	secrets, err := jwk.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		shared jwk.Source
		algs   []jwk.Algorithm
		ok     bool
	}{
		"none":                         {nil, nil, true},
		"secrets":                      {secrets, nil, true},
		"secrets alone":                {secrets, []jwk.Algorithm{jwk.HS256}, true},
		"both, by name":                {secrets, []jwk.Algorithm{jwk.ES256, jwk.HS256}, true},
		"HMAC without secrets":         {nil, []jwk.Algorithm{jwk.HS256}, false},
		"secrets that are never used":  {secrets, []jwk.Algorithm{jwk.ES256}, false},
		"HMAC among others without it": {nil, []jwk.Algorithm{jwk.ES256, jwk.HS512}, false},
	} {
		_, err := Config{Issuer: testIssuer, Audience: testAudience, SharedKeys: tt.shared, Algorithms: tt.algs}.withDefaults()
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

type sourceFunc func(kid string) ([]*jwk.Key, error)

func (f sourceFunc) Keys(_ context.Context, kid string) ([]*jwk.Key, error) { return f(kid) }

// JW-10: whatever a source answers, secrets come from the one and public keys
// from the other.
func TestJW_10_KeySourcesAreApart(t *testing.T) {
	hmac, err := jwk.Generate(jwk.HS256)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := jwk.Generate(jwk.ES256)
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("down")
	give := func(keys ...*jwk.Key) sourceFunc {
		return func(string) ([]*jwk.Key, error) { return keys, nil }
	}
	fail := func(err error) sourceFunc {
		return func(string) ([]*jwk.Key, error) { return nil, err }
	}
	for name, tt := range map[string]struct {
		shared, published sourceFunc
		kid               string
		want              *jwk.Key
		err               error
	}{
		"a secret":                        {give(hmac), fail(jwk.ErrUnknownKey), "k", hmac, nil},
		"a public key":                    {fail(jwk.ErrUnknownKey), give(ec), "k", ec, nil},
		"a public key among the secrets":  {give(ec), fail(jwk.ErrUnknownKey), "k", nil, jwk.ErrUnknownKey},
		"a secret among the public keys":  {fail(jwk.ErrUnknownKey), give(hmac), "k", nil, jwk.ErrUnknownKey},
		"each in the other's place":       {give(ec), give(hmac), "k", nil, jwk.ErrUnknownKey},
		"each among its own":              {give(ec, hmac), give(hmac, ec), "k", hmac, nil},
		"no kid finds no secret":          {give(hmac), fail(jwk.ErrUnknownKey), "", nil, jwk.ErrUnknownKey},
		"secrets cannot be had":           {fail(down), fail(jwk.ErrUnknownKey), "k", nil, down},
		"secrets cannot be had, but this": {fail(down), give(ec), "k", ec, nil},
		"public keys cannot be had":       {fail(jwk.ErrUnknownKey), fail(down), "k", nil, down},
	} {
		keys, err := keySources{tt.shared, tt.published}.Keys(t.Context(), tt.kid)
		if !errors.Is(err, tt.err) || tt.want == nil && len(keys) > 0 || tt.want != nil && (len(keys) != 1 || keys[0] != tt.want) {
			t.Errorf("%s: got %v, %v", name, keys, err)
		}
	}
}
