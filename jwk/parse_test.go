package jwk_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/jetonhq/jeton/jwk"
)

func TestJW_31_Parse(t *testing.T) {
	const x, y = `"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"`, `"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"`
	const okp = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	for name, c := range map[string]struct {
		jwk  string
		want error // nil: accepted
	}{
		"EC":                    {`{` + ecA3 + `}`, nil},
		"unknown members":       {`{` + ecA3 + `,"x5c":["AA=="],"nbf":1,"KTY":"oct","D":"x"}`, nil},
		"EC P-521 leading zero": {`{` + ecA4 + `}`, nil},
		"key_ops verify":        {`{` + ecA3 + `,"key_ops":["verify"]}`, nil},
		"white space":           {" \n{" + ecA3 + "}\t", nil},
		"short x":               {`{"kty":"EC","crv":"P-256","x":"g84nc` + `PbEXUGDy-5v20t7WAczNXvp7xO6z248e9FURQ",` + y + `}`, jwk.ErrMalformed},
		"long x":                {`{"kty":"EC","crv":"P-256","x":"AH_Nzidw9sRdQYPL7m_bS3tYBzM1e-nvE7rPbjx70VRF",` + y + `}`, jwk.ErrMalformed},
		// Together they are the 64 bytes of a point of the curve.
		"x and y cut elsewhere":    {`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVA","y":"RcfxRM0bvZt-hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt"}`, jwk.ErrMalformed},
		"not on the curve":         {`{"kty":"EC","crv":"P-256",` + x + `,"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1"}`, jwk.ErrMalformed},
		"other curve's name":       {`{"kty":"EC","crv":"P-384",` + x + `,` + y + `}`, jwk.ErrMalformed},
		"P-521 without zeros":      {strings.Replace(`{`+ecA4+`}`, `"x":"Aek`, `"x":"6Q`, 1), jwk.ErrMalformed},
		"base64 padding":           {`{` + strings.Replace(ecA3, `VEU"`, `VEU="`, 1) + `}`, jwk.ErrMalformed},
		"base64 trailing bits":     {`{` + strings.Replace(okp, `URo"`, `URp"`, 1) + `}`, jwk.ErrMalformed},
		"base64 line break":        {`{` + strings.Replace(okp, `11qY`, `11\nqY`, 1) + `}`, jwk.ErrMalformed},
		"OKP 31 bytes":             {`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ"}`, jwk.ErrMalformed},
		"RSA leading zero":         {`{` + strings.Replace(rsaA2, `"n":"ofgW`, `"n":"AKH4`, 1) + `}`, jwk.ErrMalformed},
		"RSA e leading zero":       {`{` + strings.Replace(rsaA2, `AQAB`, `AAEAAQ`, 1) + `}`, jwk.ErrMalformed},
		"RSA e 3":                  {`{` + strings.Replace(rsaA2, `AQAB`, `Aw`, 1) + `}`, jwk.ErrMalformed},
		"RSA e huge":               {`{` + strings.Replace(rsaA2, `AQAB`, `AQAAAAAAAAAB`, 1) + `}`, jwk.ErrMalformed},
		"RSA 1024":                 {`{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 170) + `w"}`, jwk.ErrMalformed},
		"alg of another type":      {`{` + ecA3 + `,"alg":"RS256"}`, jwk.ErrMalformed},
		"alg none":                 {`{` + ecA3 + `,"alg":"none"}`, jwk.ErrUnsupported},
		"alg not a string":         {`{` + ecA3 + `,"alg":null}`, jwk.ErrMalformed},
		"duplicate member":         {`{` + ecA3 + `,"alg":"ES256","alg":"ES256"}`, jwk.ErrMalformed},
		"escaped duplicate":        {`{` + ecA3 + `,"alg":"ES256","\u0061lg":"ES256"}`, jwk.ErrMalformed},
		"trailing data":            {`{` + ecA3 + `}{}`, jwk.ErrMalformed},
		"array":                    {`[{` + ecA3 + `}]`, jwk.ErrMalformed},
		"not JSON":                 {`{` + ecA3, jwk.ErrMalformed},
		"empty":                    {``, jwk.ErrMalformed},
		"not UTF-8":                {`{` + ecA3 + ",\"a\":\"\xff\"}", jwk.ErrMalformed},
		"too large":                {`{` + ecA3 + `,"a":"` + strings.Repeat("x", 64<<10) + `"}`, jwk.ErrMalformed},
		"kid too long":             {`{` + ecA3 + `,"kid":"` + strings.Repeat("x", 257) + `"}`, jwk.ErrMalformed},
		"kid not a string":         {`{` + ecA3 + `,"kid":1}`, jwk.ErrMalformed},
		"names in capitals":        {strings.ToUpper(`{"kty":"EC"}`), jwk.ErrMalformed},
		"no kty":                   {`{}`, jwk.ErrMalformed},
		"private EC":               {`{` + ecA3 + `,"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`, jwk.ErrPrivateKey},
		"private member, any type": {`{` + ecA3 + `,"qi":null}`, jwk.ErrPrivateKey},
		"oct":                      {`{"kty":"oct","k":"` + octA1 + `"}`, jwk.ErrPrivateKey},
		"oct without k":            {`{"kty":"oct"}`, jwk.ErrPrivateKey},
		"for encryption":           {`{` + ecA3 + `,"use":"enc"}`, jwk.ErrUnsupported},
		"key_ops deriveKey":        {`{` + ecA3 + `,"key_ops":["deriveKey"]}`, jwk.ErrUnsupported},
		"X25519":                   {`{"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, jwk.ErrUnsupported},
		"unknown kty":              {`{"kty":"AKP","pub":"x"}`, jwk.ErrUnsupported},
		"secp256k1":                {`{"kty":"EC","crv":"secp256k1",` + x + `,` + y + `}`, jwk.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := jwk.Parse([]byte(c.jwk))
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("got %v, %v, want %v", k, err, c.want)
			}
		})
	}
}

func TestParsePrivate_Refuses(t *testing.T) {
	other, _ := generate(t, jwk.ES256).MarshalPrivate()
	var members map[string]string
	if err := json.Unmarshal(other, &members); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		jwk  string
		want error
	}{
		"public":           {`{` + ecA3 + `,"alg":"ES256"}`, jwk.ErrNoPrivateKey},
		"another d":        {`{` + ecA3 + `,"alg":"ES256","d":"` + members["d"] + `"}`, jwk.ErrMalformed},
		"d zero":           {`{` + ecA3 + `,"alg":"ES256","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, jwk.ErrMalformed},
		"Ed25519 other d":  {`{"kty":"OKP","crv":"Ed25519","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw","d":"` + seed4 + `"}`, jwk.ErrMalformed},
		"RSA without p":    {`{` + rsaA2 + `,"d":"AQAB"}`, jwk.ErrMalformed},
		"RSA wrong p":      {`{` + rsaA2 + `,"d":"AQAB","p":"Aw","q":"BQ"}`, jwk.ErrMalformed},
		"RSA three primes": {`{` + rsaA2 + `,"d":"AQAB","p":"Aw","q":"BQ","oth":[]}`, jwk.ErrUnsupported},
		"oct short":        {`{"kty":"oct","alg":"HS256","k":"AAAA"}`, jwk.ErrMalformed},
		"oct without alg":  {`{"kty":"oct","k":"` + octA1 + `"}`, jwk.ErrMalformed},
		"oct as RS256":     {`{"kty":"oct","alg":"RS256","k":"` + octA1 + `"}`, jwk.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if k, err := jwk.ParsePrivate([]byte(c.jwk)); !errors.Is(err, c.want) {
				t.Errorf("got %v, %v, want %v", k, err, c.want)
			}
		})
	}
}

func TestJW_30_31_Set(t *testing.T) {
	a, b, c := withID(t, generate(t, jwk.ES256), "1"), withID(t, generate(t, jwk.Ed25519), "2"), withID(t, generate(t, jwk.RS256), "1")
	good, err := json.Marshal(newSet(t, a, b, c))
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{`"d":`, `"p":`, `"k":`} {
		if strings.Contains(string(good), private) {
			t.Errorf("published set has %s", private)
		}
	}
	if strings.Count(string(good), `"use":"sig"`) != 3 || strings.Count(string(good), `"kid":"`) != 3 || strings.Count(string(good), `"alg":"`) != 3 {
		t.Errorf("a key lacks use, kid or alg: %s", good)
	}
	// Between the good keys, everything that may not break a set.
	mixed := strings.Replace(string(good), `"keys":[`, `"other":{},"keys":[{"kty":"AKP"},{"kty":"oct","k":"`+octA1+`","kid":"2"},`+
		`{`+ecA3+`,"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI","kid":"2"},{`+ecA3+`,"use":"enc","kid":"2"},`+
		`null,7,"x",[],{},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},`, 1)
	set, err := jwk.ParseSet([]byte(mixed))
	if err != nil {
		t.Fatal(err)
	}
	if set.Len() != 3 || len(set.All()) != 3 {
		t.Fatalf("%d keys, want 3", set.Len())
	}
	ids := ""
	for _, k := range set.All() {
		ids += k.ID()
	}
	if ids != "121" {
		t.Errorf("order %s, want 121", ids)
	}
	if same := set.Lookup("1"); len(same) != 2 || same[0].Algorithm() != jwk.ES256 || same[1].Algorithm() != jwk.RS256 {
		t.Errorf("candidates for a repeated kid: %v", same)
	}
	if len(set.Lookup("3")) != 0 {
		t.Error("found a key that is not there")
	}
	if _, err := set.Keys(t.Context(), "3"); !errors.Is(err, jwk.ErrUnknownKey) {
		t.Errorf("unknown kid: %v", err)
	}
	if all, err := set.Keys(t.Context(), ""); err != nil || len(all) != 3 {
		t.Errorf("without kid: %d keys, %v", len(all), err)
	}
	// What others read in our set is what we wrote.
	var theirs jose.JSONWebKeySet
	if err := json.Unmarshal(good, &theirs); err != nil || len(theirs.Keys) != 3 || len(theirs.Key("1")) != 2 {
		t.Errorf("go-jose reads %d keys: %v", len(theirs.Keys), err)
	}
}

func TestJW_30_SetRefused(t *testing.T) {
	many := `{"keys":[{}` + strings.Repeat(`,{}`, 512) + `]}`
	for name, set := range map[string]string{
		"empty": "", "array": "[]", "no keys": "{}", "keys null": `{"keys":null}`, "keys object": `{"keys":{}}`, "twice": `{"keys":[],"keys":[]}`,
		"capitals": `{"KEYS":[]}`, "html": "<html>", "trailing": `{"keys":[]}x`, "only broken": `{"keys":[{"kty":"EC"}]}`, "many": many,
		"large": `{"keys":[],"a":"` + strings.Repeat("x", 512<<10) + `"}`,
	} {
		if _, err := jwk.ParseSet([]byte(set)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if s, err := jwk.ParseSet([]byte(`{"keys":[]}`)); err != nil || s.Len() != 0 {
		t.Errorf("a set without keys: %v", err)
	}
	secret := generate(t, jwk.HS256)
	if b, err := json.Marshal(newSet(t, secret)); !errors.Is(err, jwk.ErrPrivateKey) {
		t.Errorf("published a secret: %s, %v", b, err)
	}
	if _, err := jwk.NewSet(nil); err == nil {
		t.Error("a set with no key in it")
	}
}

// Whatever parses is written back as a set that parses to the same keys, and
// holds nothing private.
func FuzzParseSet(f *testing.F) {
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{` + ecA3 + `,"kid":"1"},{` + rsaA2 + `},{` + ecA4 + `,"alg":"ES512"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"` + octA1 + `"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","use":"sig"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := jwk.ParseSet(b)
		if err != nil {
			return
		}
		written, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		again, err := jwk.ParseSet(written)
		if err != nil {
			t.Fatalf("%v: %s", err, written)
		}
		if again.Len() != set.Len() {
			t.Fatalf("%d keys became %d", set.Len(), again.Len())
		}
		for i, k := range set.All() {
			other := again.All()[i]
			if k.Private() || k.ID() != other.ID() || k.Algorithm() != other.Algorithm() || k.Thumbprint() != other.Thumbprint() {
				t.Fatalf("%v became %v", k, other)
			}
		}
	})
}
