package jwt_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

var everyAlgorithm = []jwk.Algorithm{
	jwk.ES256, jwk.ES384, jwk.ES512, jwk.Ed25519, jwk.EdDSA, jwk.RS256, jwk.RS384, jwk.RS512,
	jwk.PS256, jwk.PS384, jwk.PS512, jwk.HS256, jwk.HS384, jwk.HS512,
}

func TestJW_10_AlgorithmAllowList(t *testing.T) {
	keys := map[jwk.Algorithm]*jwk.Key{}
	var all []*jwk.Key
	for _, alg := range everyAlgorithm {
		keys[alg] = generate(t, alg)
		all = append(all, keys[alg])
	}
	c := config(t, all...)
	for _, signer := range everyAlgorithm {
		token := sign(t, keys[signer], "at+jwt", claims())
		for _, allowed := range everyAlgorithm {
			c.Algorithms = []jwk.Algorithm{allowed}
			v := newVerifier(t, c)
			if allowed == signer {
				accept(t, v, token)
				accept(t, v, token) // its header is known now
			} else {
				refuse(t, v, token, jwt.ReasonWrongAlgorithm)
			}
		}
	}
	// Names are exact.
	key := keys[jwk.HS256]
	c.Algorithms = everyAlgorithm
	v := newVerifier(t, c)
	for _, name := range []string{"none", "noNE", "NONE", "hs256", "HS256 ", "Hs256", "RSA1_5", "PBES2-HS256+A128KW", "ES256K"} {
		refuse(t, v, craft(t, key, `{"typ":"at+jwt","alg":"`+name+`","kid":"`+key.ID()+`"}`, payload("")), jwt.ReasonWrongAlgorithm)
	}
	// A key under its id, but with the algorithm of another.
	refuse(t, v, craft(t, key, `{"typ":"at+jwt","alg":"ES256","kid":"`+key.ID()+`"}`, payload("")), jwt.ReasonWrongAlgorithm)
	for _, alg := range []jwk.Algorithm{"none", "hs256", ""} {
		c.Algorithms = []jwk.Algorithm{alg}
		if _, err := jwt.NewVerifier(c); err == nil {
			t.Errorf("a verifier for %q", alg)
		}
	}
}

// The classic: HS256 with the public RSA key, as PEM or DER, as the secret.
func TestJW_10_V11_KeyConfusion(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := jwk.New(jwk.RS256, private)
	c := config(t, key.Public())
	c.Algorithms = []jwk.Algorithm{jwk.RS256, jwk.HS256} // even if someone allows both
	v := newVerifier(t, c)
	pkix, _ := x509.MarshalPKIXPublicKey(&private.PublicKey)
	public, _ := key.MarshalJSON()
	for name, secret := range map[string][]byte{
		"PKIX PEM":  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}),
		"PKCS1 PEM": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&private.PublicKey)}),
		"DER":       pkix, "JWK": public, "modulus": private.N.Bytes(),
	} {
		hmacKey, err := jwk.New(jwk.HS256, secret)
		if err != nil {
			t.Fatal(err)
		}
		hmacKey, _ = hmacKey.WithID(key.ID())
		t.Run(name, func(t *testing.T) {
			refuse(t, v, sign(t, hmacKey, "at+jwt", claims()), jwt.ReasonWrongAlgorithm)
			refuse(t, v, craft(t, hmacKey, `{"typ":"at+jwt","alg":"HS256"}`, payload("")), jwt.ReasonWrongAlgorithm)
		})
	}
}

func TestJW_12_V11_Signatures(t *testing.T) {
	key := generate(t, jwk.ES256)
	v := newVerifier(t, config(t, key))
	good := sign(t, key, "at+jwt", claims())
	dot := strings.LastIndexByte(good, '.')
	for name, sig := range map[string]string{
		"64 zero bytes": b64(strings.Repeat("\x00", 64)), "short": good[dot+1 : len(good)-4], "long": good[dot+1:] + "AAAA",
		"ASN.1": b64("\x30\x06\x02\x01\x01\x02\x01\x01"),
	} {
		if _, err := v.Verify(t.Context(), good[:dot+1]+sig); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	other := sign(t, key, "at+jwt", jwt.Claims{Issuer: issuer})
	refuse(t, v, good[:dot]+other[strings.LastIndexByte(other, '.'):], jwt.ReasonBadSignature)
	refuse(t, v, sign(t, generate(t, jwk.ES256), "at+jwt", claims()), jwt.ReasonUnknownKey)
}

func TestJW_13_EdDSAIsAnotherName(t *testing.T) {
	key := generate(t, jwk.Ed25519)
	silent, err := jwk.Parse([]byte(strings.Replace(public(t, key), `,"alg":"Ed25519"`, "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	fully := craft(t, key, `{"typ":"at+jwt","alg":"Ed25519","kid":"`+key.ID()+`"}`, payload(""))
	older := craft(t, key, `{"typ":"at+jwt","alg":"EdDSA","kid":"`+key.ID()+`"}`, payload(""))
	both := []jwk.Algorithm{jwk.Ed25519, jwk.EdDSA}
	for name, c := range map[string]struct {
		key                        *jwk.Key
		allowed                    []jwk.Algorithm
		acceptsFully, acceptsOlder bool
	}{
		"key says Ed25519":           {key, both, true, false},
		"key silent, both allowed":   {silent, both, true, false}, // one key, one algorithm: the first
		"key silent, EdDSA allowed":  {silent, []jwk.Algorithm{jwk.EdDSA}, false, true},
		"key silent, EdDSA first":    {silent, []jwk.Algorithm{jwk.ES256, jwk.EdDSA, jwk.Ed25519}, false, true},
		"key says it, EdDSA allowed": {key, []jwk.Algorithm{jwk.EdDSA}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			conf := config(t, c.key)
			conf.Algorithms = c.allowed
			v := newVerifier(t, conf)
			_, errFully := v.Verify(t.Context(), fully)
			_, errOlder := v.Verify(t.Context(), older)
			if (errFully == nil) != c.acceptsFully || (errOlder == nil) != c.acceptsOlder {
				t.Errorf("Ed25519: %v, EdDSA: %v", errFully, errOlder)
			}
		})
	}
}

func public(tb testing.TB, k *jwk.Key) string {
	tb.Helper()
	b, err := k.MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func TestJW_20_Times(t *testing.T) {
	key := generate(t, jwk.HS256)
	zero := config(t, key)
	zero.FutureLeeway = -1
	lenient := config(t, key)
	lenient.Leeway = 10 * time.Second
	half := config(t, key)
	half.Now = func() time.Time { return now.Add(500 * time.Millisecond) }
	half.FutureLeeway = -1
	at := func(iat, exp, nbf string) string {
		p := strings.Replace(payload(""), `"iat":1700000000`, `"iat":`+iat, 1)
		p = strings.Replace(p, `"exp":1700000300`, `"exp":`+exp, 1)
		if nbf != "" {
			p = strings.Replace(p, "}", `,"nbf":`+nbf+"}", 1)
		}
		return craft(t, key, header(key, ""), p)
	}
	const iat, exp = "1700000000", "1700000300"
	for name, c := range map[string]struct {
		config jwt.Config
		token  string
		reason string // "": accepted
	}{
		"exp is now":                     {zero, at(iat, "1700000000", ""), jwt.ReasonExpired},
		"exp is now, by default":         {config(t, key), at(iat, "1700000000", ""), jwt.ReasonExpired},
		"exp in a second":                {zero, at(iat, "1700000001", ""), ""},
		"exp in half a second":           {half, at(iat, "1700000001", ""), ""},
		"exp a fraction ago":             {half, at(iat, "1700000000.4", ""), jwt.ReasonExpired},
		"exp 10 s ago, leeway 10 s":      {lenient, at(iat, "1699999990", ""), jwt.ReasonExpired},
		"exp 9 s ago, leeway 10 s":       {lenient, at(iat, "1699999991", ""), ""},
		"exp with fraction":              {zero, at(iat, "1700000300.5", ""), ""},
		"exp as 1.7000003e9":             {zero, at(iat, "1.7000003e9", ""), ""},
		"exp 2^53":                       {zero, at(iat, "9007199254740992", ""), ""},
		"exp above 2^53":                 {zero, at(iat, "9007199254740993", ""), jwt.ReasonMalformed},
		"exp 2^64":                       {zero, at(iat, "18446744073709551616", ""), jwt.ReasonMalformed},
		"exp 2^64+300":                   {zero, at(iat, "18446744075409551916", ""), jwt.ReasonMalformed},
		"exp 1e300":                      {zero, at(iat, "1e300", ""), jwt.ReasonMalformed},
		"exp 1e999":                      {zero, at(iat, "1e999", ""), jwt.ReasonMalformed},
		"exp a string V-11":              {zero, at(iat, `"1700000300"`, ""), jwt.ReasonMalformed},
		"exp null":                       {zero, at(iat, "null", ""), jwt.ReasonMalformed},
		"exp true":                       {zero, at(iat, "true", ""), jwt.ReasonMalformed},
		"exp array":                      {zero, at(iat, "[1700000300]", ""), jwt.ReasonMalformed},
		"exp NaN":                        {zero, at(iat, "NaN", ""), jwt.ReasonMalformed},
		"exp negative":                   {zero, at(iat, "-1", ""), jwt.ReasonMalformed},
		"exp negative zero":              {zero, at(iat, "-0", ""), jwt.ReasonMalformed},
		"exp zero":                       {zero, at(iat, "0", ""), jwt.ReasonExpired},
		"iat in the future":              {zero, at("1700000001", exp, ""), jwt.ReasonIssuedInFuture},
		"iat in 10 s, by default":        {config(t, key), at("1700000010", exp, ""), ""},
		"iat in 11 s, by default":        {config(t, key), at("1700000011", exp, ""), jwt.ReasonIssuedInFuture},
		"iat a string":                   {zero, at(`"1700000000"`, exp, ""), jwt.ReasonMalformed},
		"iat long ago":                   {zero, at("1", exp, ""), ""},
		"nbf is now":                     {zero, at(iat, exp, "1700000000"), ""},
		"nbf in a second":                {zero, at(iat, exp, "1700000001"), jwt.ReasonNotYetValid},
		"nbf in a fraction":              {zero, at(iat, exp, "1700000000.5"), jwt.ReasonNotYetValid},
		"nbf in 5 s with 10 s skew":      {lenient, at(iat, exp, "1700000005"), ""},
		"nbf in 5 s, by default":         {config(t, key), at(iat, exp, "1700000005"), ""},
		"nbf in 11 s with 10 s skew":     {lenient, at(iat, exp, "1700000011"), jwt.ReasonNotYetValid},
		"nbf a string":                   {zero, at(iat, exp, `"1700000000"`), jwt.ReasonMalformed},
		"nbf far, expired at this clock": {zero, at(iat, "1699999999", "1800000000"), jwt.ReasonExpired},
	} {
		t.Run(name, func(t *testing.T) {
			if v := newVerifier(t, c.config); c.reason == "" {
				accept(t, v, c.token)
			} else {
				refuse(t, v, c.token, c.reason)
			}
		})
	}
	old := config(t, key)
	old.MaxAge = time.Minute
	accept(t, newVerifier(t, old), at("1699999940", exp, ""))
	refuse(t, newVerifier(t, old), at("1699999939", exp, ""), jwt.ReasonTooOld)
	hint := config(t, key)
	hint.InsecureAllowExpired = true
	accept(t, newVerifier(t, hint), at("1600000000", "1600000300", ""))
}

func TestJW_21_IssuerAndAudience(t *testing.T) {
	key := generate(t, jwk.HS256)
	c := config(t, key)
	c.Audience = []string{audience, "https://other-name.example.com"}
	v := newVerifier(t, c)
	with := func(member, value string) string {
		p := payload("")
		switch member {
		case "iss":
			p = strings.Replace(p, `"iss":"https://as.example.com",`, value, 1)
		case "aud":
			p = strings.Replace(p, `"aud":"https://rs.example.com",`, value, 1)
		}
		return craft(t, key, header(key, ""), p)
	}
	for name, c := range map[string]struct{ token, reason string }{
		"aud string":                {with("aud", `"aud":"https://rs.example.com",`), ""},
		"aud array":                 {with("aud", `"aud":["https://rs.example.com"],`), ""},
		"aud second":                {with("aud", `"aud":["https://x.example","https://rs.example.com"],`), ""},
		"aud other name":            {with("aud", `"aud":"https://other-name.example.com",`), ""},
		"aud of another":            {with("aud", `"aud":"https://x.example",`), jwt.ReasonWrongAudience},
		"aud prefix":                {with("aud", `"aud":"https://rs.example.com.evil.example",`), jwt.ReasonWrongAudience},
		"aud with slash":            {with("aud", `"aud":"https://rs.example.com/",`), jwt.ReasonWrongAudience},
		"aud other case":            {with("aud", `"aud":"https://RS.example.com",`), jwt.ReasonWrongAudience},
		"aud joined":                {with("aud", `"aud":"https://x.example https://rs.example.com",`), jwt.ReasonWrongAudience},
		"aud missing":               {with("aud", ``), jwt.ReasonMissingClaim},
		"aud empty":                 {with("aud", `"aud":"",`), jwt.ReasonWrongAudience},
		"aud empty array":           {with("aud", `"aud":[],`), jwt.ReasonMalformed},
		"aud null":                  {with("aud", `"aud":null,`), jwt.ReasonMalformed},
		"aud number":                {with("aud", `"aud":1,`), jwt.ReasonMalformed},
		"aud with number":           {with("aud", `"aud":["https://rs.example.com",1],`), jwt.ReasonMalformed},
		"aud nested":                {with("aud", `"aud":[["https://rs.example.com"]],`), jwt.ReasonMalformed},
		"aud object":                {with("aud", `"aud":{"https://rs.example.com":1},`), jwt.ReasonMalformed},
		"iss with slash":            {with("iss", `"iss":"https://as.example.com/",`), jwt.ReasonWrongIssuer},
		"iss other case":            {with("iss", `"iss":"https://AS.example.com",`), jwt.ReasonWrongIssuer},
		"iss http":                  {with("iss", `"iss":"http://as.example.com",`), jwt.ReasonWrongIssuer},
		"iss missing":               {with("iss", ``), jwt.ReasonMissingClaim},
		"iss empty":                 {with("iss", `"iss":"",`), jwt.ReasonMissingClaim},
		"iss array":                 {with("iss", `"iss":["https://as.example.com"],`), jwt.ReasonMalformed},
		"iss escaped but the same":  {with("iss", `"iss":"https:\u002f\u002fas.example.com",`), ""},
		"iss in another case field": {with("iss", `"Iss":"https://as.example.com",`), jwt.ReasonMissingClaim},
	} {
		t.Run(name, func(t *testing.T) {
			if c.reason == "" {
				accept(t, v, c.token)
			} else {
				refuse(t, v, c.token, c.reason)
			}
		})
	}
	c.Audience, c.InsecureNoAudience = nil, true
	accept(t, newVerifier(t, c), with("aud", `"aud":"https://x.example",`))
	refuse(t, newVerifier(t, c), with("aud", `"aud":[],`), jwt.ReasonMalformed)
}

func TestAT_2_RequiredClaims(t *testing.T) {
	key := generate(t, jwk.HS256)
	v := newVerifier(t, config(t, key))
	for _, claim := range []string{
		`"iss":"https://as.example.com",`, `"sub":"248289761001",`, `"aud":"https://rs.example.com",`, `"client_id":"s6BhdRkqt3",`,
		`"iat":1700000000,`, `"exp":1700000300,`,
	} {
		refuse(t, v, craft(t, key, header(key, ""), strings.Replace(payload(""), claim, "", 1)), jwt.ReasonMissingClaim)
	}
	refuse(t, v, craft(t, key, header(key, ""), strings.Replace(payload(""), `,"jti":"at-1"`, "", 1)), jwt.ReasonMissingClaim)
	for _, claim := range []string{`"sub":"248289761001"`, `"client_id":"s6BhdRkqt3"`, `"jti":"at-1"`} {
		name, _, _ := strings.Cut(claim, ":")
		refuse(t, v, craft(t, key, header(key, ""), strings.Replace(payload(""), claim, name+`:""`, 1)), jwt.ReasonMissingClaim)
		refuse(t, v, craft(t, key, header(key, ""), strings.Replace(payload(""), claim, name+`:7`, 1)), jwt.ReasonMalformed)
	}
	own := config(t, key)
	own.Profile.Required = append([]string{"tenant"}, own.Profile.Required...)
	refuse(t, newVerifier(t, own), craft(t, key, header(key, ""), payload("")), jwt.ReasonMissingClaim)
	accept(t, newVerifier(t, own), craft(t, key, header(key, ""), payload(`,"tenant":"t"`)))
}

func TestAT_1_AT_3_Type(t *testing.T) {
	key := generate(t, jwk.ES256)
	v := newVerifier(t, config(t, key))
	for typ, ok := range map[string]bool{
		`,"typ":"at+jwt"`: true, `,"typ":"AT+JWT"`: true, `,"typ":"application/at+jwt"`: true, `,"typ":"Application/At+Jwt"`: true,
		``: false, `,"typ":"JWT"`: false, `,"typ":""`: false, `,"typ":"jwt"`: false, `,"typ":"at+jwt "`: false, `,"typ":"x/at+jwt"`: false,
		`,"typ":"application/application/at+jwt"`: false, `,"typ":"logout+jwt"`: false, `,"typ":"dpop+jwt"`: false, `,"typ":"application/"`: false,
		`,"TYP":"at+jwt"`: false,
	} {
		token := craft(t, key, `{"alg":"ES256","kid":"`+key.ID()+`"`+typ+`}`, payload(""))
		if ok {
			accept(t, v, token)
		} else {
			refuse(t, v, token, jwt.ReasonWrongType)
		}
	}
	// RS256 must be among the algorithms of both sides.
	rs := generate(t, jwk.RS256)
	accept(t, newVerifier(t, config(t, rs)), sign(t, rs, "at+jwt", claims()))
}

// Without a kid there must be exactly one key that fits; with a repeated one,
// those that fit are tried.
func TestJW_32_CandidateKeys(t *testing.T) {
	a, b, r := generate(t, jwk.ES256), generate(t, jwk.ES256), generate(t, jwk.RS256)
	const noKid = `{"typ":"at+jwt","alg":"ES256"}`
	accept(t, newVerifier(t, config(t, a, r)), craft(t, a, noKid, payload("")))
	refuse(t, newVerifier(t, config(t, a, r)), craft(t, b, noKid, payload("")), jwt.ReasonBadSignature)
	refuse(t, newVerifier(t, config(t, a, b)), craft(t, a, noKid, payload("")), jwt.ReasonUnknownKey)
	refuse(t, newVerifier(t, config(t, a, b)), craft(t, b, noKid, payload("")), jwt.ReasonUnknownKey)
	refuse(t, newVerifier(t, jwt.Config{
		Profile: jwt.AccessToken, Issuer: issuer, Audience: []string{audience}, Algorithms: []jwk.Algorithm{jwk.ES256}, Keys: newSet(t), Now: clock,
	}), craft(t, a, noKid, payload("")), jwt.ReasonUnknownKey)

	same := []*jwk.Key{r, a, b}
	for i := range same {
		same[i], _ = same[i].WithID("same")
	}
	v := newVerifier(t, config(t, same...))
	for _, k := range same {
		if got := accept(t, v, sign(t, k, "at+jwt", claims())); got.Key.Thumbprint() != k.Thumbprint() {
			t.Error("another key verified it")
		}
	}
	stranger, _ := generate(t, jwk.ES256).WithID("same")
	refuse(t, v, sign(t, stranger, "at+jwt", claims()), jwt.ReasonBadSignature)
	// A set that repeats an id without end does not make a token expensive.
	repeated := make([]*jwk.Key, 0, 6)
	for range 5 {
		k, _ := generate(t, jwk.ES256).WithID("same")
		repeated = append(repeated, k)
	}
	refuse(t, newVerifier(t, config(t, append(repeated, stranger)...)), sign(t, stranger, "at+jwt", claims()), jwt.ReasonBadSignature)
}

type brokenSource struct{ err error }

func (s brokenSource) Keys(context.Context, string) ([]*jwk.Key, error) { return nil, s.err }

func TestVerify_KeysUnavailable(t *testing.T) {
	key := generate(t, jwk.ES256)
	c := config(t, key)
	down := errors.New("connection refused")
	c.Keys = brokenSource{down}
	_, err := newVerifier(t, c).Verify(t.Context(), sign(t, key, "at+jwt", claims()))
	if jwt.ReasonOf(err) != jwt.ReasonKeysUnavailable || !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
}

func TestNewVerifier_Refuses(t *testing.T) {
	key := generate(t, jwk.ES256)
	for name, change := range map[string]func(*jwt.Config){
		"no profile":            func(c *jwt.Config) { c.Profile = jwt.Profile{} },
		"no issuer":             func(c *jwt.Config) { c.Issuer = "" },
		"no audience":           func(c *jwt.Config) { c.Audience = nil },
		"empty audience":        func(c *jwt.Config) { c.Audience = []string{""} },
		"audience and insecure": func(c *jwt.Config) { c.InsecureNoAudience = true },
		"no algorithms":         func(c *jwt.Config) { c.Algorithms = nil },
		"no keys":               func(c *jwt.Config) { c.Keys = nil },
		"leeway":                func(c *jwt.Config) { c.Leeway = 61 * time.Second },
		"negative leeway":       func(c *jwt.Config) { c.Leeway = -1 },
		"future leeway":         func(c *jwt.Config) { c.FutureLeeway = 61 * time.Second },
		"negative age":          func(c *jwt.Config) { c.MaxAge = -1 },
		"no exp, no age":        func(c *jwt.Config) { c.Profile = jwt.SecurityEvent },
		"negative size":         func(c *jwt.Config) { c.MaxBytes = -1 },
		"proof with keys":       func(c *jwt.Config) { c.Profile = jwt.DPoPProof },
		"symmetric proof": func(c *jwt.Config) {
			*c = jwt.Config{Profile: jwt.DPoPProof, Algorithms: []jwk.Algorithm{jwk.HS256}}
		},
	} {
		c := config(t, key)
		change(&c)
		if _, err := jwt.NewVerifier(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := jwt.NewVerifier(jwt.Config{}); err == nil || strings.Count(err.Error(), "\n") < 4 {
		t.Errorf("not all problems at once: %v", err)
	}
}

// Nothing of a token may reach an error text: it ends in logs.
func TestErrors_HideTheToken(t *testing.T) {
	key := generate(t, jwk.ES256)
	v := newVerifier(t, config(t, key))
	const canary = "CANARY"
	for _, token := range []string{
		craft(t, key, header(key, ""), strings.ReplaceAll(payload(""), "https://as.example.com", canary)),
		craft(t, key, header(key, ""), payload(`,"`+canary+`":1,"`+canary+`":1`)),
		craft(t, key, header(key, ""), payload(`,"x":"`+canary)),
		craft(t, key, `{"alg":"`+canary+`"}`, payload("")), craft(t, key, `{"alg":"ES256","typ":"`+canary+`"}`, payload("")),
		craft(t, key, `{"alg":"ES256","typ":"at+jwt","kid":"`+canary+`"}`, payload("")), canary + "." + canary + "." + canary, canary,
	} {
		_, err := v.Verify(t.Context(), token)
		if err == nil || strings.Contains(err.Error(), canary) || jwt.ReasonOf(err) == "" {
			t.Errorf("error is %v", err)
		}
	}
}

func TestReasonOf(t *testing.T) {
	if got := jwt.ReasonOf(nil); got != "" {
		t.Errorf("nil: %q", got)
	}
	for err, want := range map[error]string{
		errors.New("x"): "", jwk.ErrUnknownKey: "unknown_key", jwk.ErrUnavailable: "keys_unavailable", jwk.ErrSignature: "bad_signature",
		jwt.ErrExpired: "expired", errors.Join(errors.New("x"), jwt.ErrWrongAudience): "wrong_audience",
	} {
		if got := jwt.ReasonOf(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	detailed := &jwt.Error{Reason: jwt.ReasonMalformed, Detail: "x"}
	if !errors.Is(detailed, jwt.ErrMalformed) || errors.Is(jwt.ErrMalformed, detailed) || errors.Is(detailed, jwt.ErrExpired) { //nolint:staticcheck // also the other way round
		t.Error("errors.Is")
	}
}

func TestExplain_AllChecks(t *testing.T) {
	key := generate(t, jwk.ES256)
	v := newVerifier(t, config(t, key))
	failed := func(token string) string {
		_, checks := v.Explain(t.Context(), token)
		var names []string
		for _, c := range checks {
			if c.Err != nil {
				names = append(names, c.Name)
			}
		}
		return strings.Join(names, " ")
	}
	old := claims()
	old.ExpiresAt, old.Audience, old.ID = 1, []string{"x"}, ""
	for token, want := range map[string]string{
		sign(t, key, "at+jwt", claims()):                            "",
		sign(t, key, "JWT", old):                                    "type audience claims expiry",
		sign(t, generate(t, jwk.Ed25519), "at+jwt", claims()):       "algorithm signature",
		strings.ReplaceAll(sign(t, key, "at+jwt", old), ".", "..."): "form",
	} {
		if got := failed(token); got != want {
			t.Errorf("failed %q, want %q", got, want)
		}
	}
}

// The header cache answers only for headers whose signature was good, stays
// small, and never lets one header stand for another.
func TestVerify_HeaderCache(t *testing.T) {
	key := generate(t, jwk.HS256)
	v := newVerifier(t, config(t, key))
	for i := range 300 {
		extra := `,"n":"` + strings.Repeat("x", i) + `"`
		accept(t, v, craft(t, key, header(key, extra), payload("")))
		accept(t, v, craft(t, key, header(key, extra), payload("")))
		refuse(t, v, craft(t, key, strings.Replace(header(key, extra), "at+jwt", "JWT", 1), payload("")), jwt.ReasonWrongType)
	}
}

// One verifier for all requests: tokens with different headers, checked at once,
// must not mix. The race detector watches.
func TestVerify_Concurrent(t *testing.T) {
	key := generate(t, jwk.HS256)
	v := newVerifier(t, config(t, key))
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				want := strings.Repeat("s", 1+i)
				token := craft(t, key, header(key, fmt.Sprintf(`,"n":%d`, i*j)), strings.Replace(payload(""), "248289761001", want, 1))
				got, err := v.Verify(t.Context(), token)
				if err != nil || got.Claims.Subject != want {
					t.Errorf("got %+v, %v", got, err)
					return
				}
				if _, err := v.Verify(t.Context(), token[:len(token)-8]+"AAAAAAAA"); err == nil {
					t.Error("accepted a broken signature")
				}
			}
		})
	}
	wg.Wait()
}
