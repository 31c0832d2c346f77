package jwt_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// token is split at the dots by hand in these tests, so that each part can be
// spoiled on its own under an otherwise good token.
func TestJW_1_CompactForm(t *testing.T) {
	key := generate(t, jwk.ES256)
	v := newVerifier(t, config(t, key))
	good := sign(t, key, "at+jwt", claims())
	accept(t, v, good)
	part := strings.Split(good, ".")
	cases := map[string]string{
		"empty": "", "one part": part[0], "two parts": part[0] + "." + part[1], "four parts": good + ".AA", "five parts": good + "..",
		"dots": "..", "no header": "." + part[1] + "." + part[2], "no payload": part[0] + ".." + part[2], "no signature": part[0] + "." + part[1] + ".",
		"JSON serialisation": `{"protected":"` + part[0] + `","payload":"` + part[1] + `","signature":"` + part[2] + `"}`,
		"scheme before it":   "Bearer " + good, "space after it": good + " ", "line break after it": good + "\n", "NUL after it": good + "\x00",
		"many dots": strings.Repeat(".", 10_000),
	}
	for _, c := range []string{"=", "+", "/", " ", "\r", "\n", "\t", "{", `"`, "\x00", "\x80", "é", "~"} {
		for i := range part {
			for where, at := range map[string]int{"start": 0, "middle": len(part[i]) / 2, "end": len(part[i])} {
				spoiled := append([]string(nil), part...)
				spoiled[i] = part[i][:at] + c + part[i][at:]
				cases[c+" in part at "+where] = strings.Join(spoiled, ".")
				refuse(t, v, strings.Join(spoiled, "."), jwt.ReasonMalformed)
			}
		}
	}
	for name, token := range cases {
		t.Run(name, func(t *testing.T) {
			refuse(t, v, token, jwt.ReasonMalformed)
			if _, err := jwt.Parse(token, 0); !errors.Is(err, jwt.ErrMalformed) {
				t.Errorf("Parse: %v", err)
			}
		})
	}
}

// The same bytes have 4 or 16 spellings in a lax decoder; here they have one.
func TestJW_2_V11_CanonicalBase64(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	key := generate(t, jwk.Ed25519)
	v := newVerifier(t, config(t, key))
	for size := range 3 { // payloads of every length modulo 3
		token := craft(t, key, header(key, ""), payload(`,"pad":"`+strings.Repeat("x", size)+`"`))
		accept(t, v, token)
		for _, end := range []int{strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.'), len(token)} {
			last := token[end-1]
			for i := range len(alphabet) {
				if alphabet[i] == last {
					continue
				}
				other := token[:end-1] + alphabet[i:i+1] + token[end:]
				if _, err := v.Verify(t.Context(), other); err == nil {
					t.Fatalf("a second spelling of a token is accepted: %q for %q", alphabet[i], last)
				}
			}
		}
	}
	// A signature of 64 bytes leaves four bits over in its last character, one of
	// 32 bytes leaves two.
	short := generate(t, jwk.HS256)
	for _, c := range []struct {
		key  *jwk.Key
		bits int
	}{{key, 16}, {short, 4}} {
		v := newVerifier(t, config(t, c.key))
		token := sign(t, c.key, "at+jwt", claims())
		last := strings.IndexByte(alphabet, token[len(token)-1])
		for bits := 1; bits < c.bits; bits++ {
			refuse(t, v, token[:len(token)-1]+alphabet[last^bits:last^bits+1], jwt.ReasonMalformed)
		}
	}
}

func TestJW_3_StrictJSON(t *testing.T) {
	key := generate(t, jwk.ES256)
	v := newVerifier(t, config(t, key))
	deep := func(n int, open, end string) string { return strings.Repeat(open, n) + strings.Repeat(end, n) }
	for name, p := range map[string]string{
		"plain":               payload(""),
		"white space":         " \t\r\n" + strings.ReplaceAll(payload(""), ",", " ,\r\n ") + "\n",
		"unknown claims":      payload(`,"x":{"a":[1,-2.5e+10,true,false,null,"\u00e9\n\ud83d\ude00"],"b":{}},"y":[]`),
		"other case":          payload(`,"ISS":"x","Exp":1,"AUD":[]`),
		"escaped names":       strings.Replace(payload(""), `"aud"`, `"\u0061ud"`, 1),
		"escaped value":       strings.Replace(payload(""), `"aud":"https://`, `"aud":"https:\/\/`, 1),
		"many claims":         payload(many(100)),
		"same name elsewhere": payload(`,"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":1}]`),
		"deep enough":         payload(`,"x":` + deep(31, "[", "]")),
		"two million zeros":   payload(`,"x":0.` + strings.Repeat("0", 1000) + `1`),
	} {
		t.Run("accept "+name, func(t *testing.T) { accept(t, v, craft(t, key, header(key, ""), p)) })
	}
	for name, p := range map[string]string{
		"duplicate":               payload(`,"exp":1700000300`),
		"duplicate iss":           payload(`,"iss":"https://as.example.com"`),
		"escaped duplicate":       payload(`,"\u0065xp":1700000300`),
		"duplicate unknown":       payload(`,"x":1,"x":1`),
		"duplicate among many":    payload(many(100) + `,"n7":1`),
		"duplicate inside":        payload(`,"x":{"y":{"z":1,"z":1}}`),
		"duplicate inside array":  payload(`,"x":[[{"z":1,"z":1}]]`),
		"duplicate inside cnf":    payload(`,"cnf":{"jkt":"a","jkt":"a"}`),
		"duplicate inside act":    payload(`,"act":{"sub":"a","sub":"a"}`),
		"trailing data":           payload("") + "x",
		"trailing object":         payload("") + "{}",
		"trailing NUL":            payload("") + "\x00",
		"array":                   "[" + payload("") + "]",
		"string":                  `"x"`,
		"null":                    "null",
		"number":                  "1",
		"empty object":            "", // replaced below: an empty part is no part
		"not closed":              strings.TrimSuffix(payload(""), "}"),
		"comma at the end":        strings.TrimSuffix(payload(""), "}") + ",}",
		"comma at the start":      "{," + payload("")[1:],
		"single quotes":           strings.ReplaceAll(payload(""), `"`, `'`),
		"comment":                 payload("/**/"),
		"byte order mark":         "\ufeff" + payload(""),
		"invalid UTF-8":           payload(",\"x\":\"\xff\""),
		"overlong UTF-8":          payload(",\"x\":\"\xc0\x80\""),
		"UTF-8 surrogate":         payload(",\"x\":\"\xed\xa0\x80\""),
		"lone high surrogate":     payload(`,"x":"\ud83d"`),
		"lone low surrogate":      payload(`,"x":"\ude00"`),
		"surrogates reversed":     payload(`,"x":"\ude00\ud83d"`),
		"low then low":            payload(`,"x":"\ude00\ude00"`),
		"high then text":          payload(`,"x":"\ud83dabcdef"`),
		"high then high":          payload(`,"x":"\ud83d\ud83d"`),
		"lone surrogate in name":  payload(`,"\ud83d":1`),
		"control character":       payload(",\"x\":\"\n\""),
		"unknown escape":          payload(`,"x":"\x41"`),
		"short escape":            payload(`,"x":"\u41"`),
		"escape at the end":       strings.TrimSuffix(payload(""), "}") + `,"x":"\`,
		"number with plus":        payload(`,"x":+1`),
		"number with zero":        payload(`,"x":01`),
		"number without whole":    payload(`,"x":.5`),
		"number without fraction": payload(`,"x":5.`),
		"number without exponent": payload(`,"x":5e`),
		"hexadecimal":             payload(`,"x":0x10`),
		"NaN":                     payload(`,"x":NaN`),
		"Infinity":                payload(`,"x":Infinity`),
		"True":                    payload(`,"x":True`),
		"nul":                     payload(`,"x":nul`),
		"member without value":    payload(`,"x"`),
		"name not a string":       payload(`,1:1`),
		"too deep":                payload(`,"x":` + deep(33, "[", "]")),
		"too deep objects":        payload(`,"x":` + deep(40, `{"a":`, "}")),
		"depth bomb":              payload(`,"x":` + strings.Repeat("[", 10_000)),
	} {
		if p == "" {
			continue
		}
		t.Run("refuse "+name, func(t *testing.T) {
			refuse(t, v, craft(t, key, header(key, ""), p), jwt.ReasonMalformed)
		})
	}
	for name, h := range map[string]string{
		"duplicate alg V-11": `{"alg":"ES256","alg":"none"}`,
		"capital ALG V-11":   `{"ALG":"none"}`,
		"capitals only":      strings.ToUpper(header(key, "")),
		"duplicate kid":      header(key, `,"kid":"x"`),
		"escaped duplicate":  header(key, `,"\u006bid":"x"`),
		"duplicate unknown":  header(key, `,"x":{"a":1,"a":2}`),
		"trailing":           header(key, "") + " {}",
		"array":              `["ES256"]`,
		"invalid UTF-8":      header(key, ",\"x\":\"\xff\""),
		"alg not a string":   `{"alg":1}`,
		"alg null":           `{"alg":null}`,
		"alg empty":          `{"alg":"","typ":"at+jwt"}`,
		"no alg":             `{"typ":"at+jwt"}`,
		"typ not a string":   `{"alg":"ES256","typ":["at+jwt"]}`,
		"kid not a string":   `{"alg":"ES256","typ":"at+jwt","kid":1}`,
		"too deep":           header(key, `,"x":`+deep(40, "[", "]")),
	} {
		t.Run("refuse header "+name, func(t *testing.T) {
			refuse(t, v, craft(t, key, h, payload("")), jwt.ReasonMalformed)
		})
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"n` + strings.Repeat("x", i/10) + string(rune('0'+i%10)) + `":1`)
	}
	return b.String()
}

func TestJW_3_Size(t *testing.T) {
	key := generate(t, jwk.Ed25519)
	v := newVerifier(t, config(t, key))
	big := craft(t, key, header(key, ""), payload(`,"x":"`+strings.Repeat("x", 1<<20)+`"`))
	refuse(t, v, big, jwt.ReasonMalformed)
	if _, err := jwt.Parse(big, 0); err == nil {
		t.Error("Parse took a token of 1 MB")
	}
	good := sign(t, key, "at+jwt", claims())
	c := config(t, key)
	c.MaxBytes = len(good)
	accept(t, newVerifier(t, c), good)
	c.MaxBytes--
	refuse(t, newVerifier(t, c), good, jwt.ReasonMalformed)
	c.MaxBytes = 2 << 20
	accept(t, newVerifier(t, c), big)
}

func TestJW_4_Crit(t *testing.T) {
	key := generate(t, jwk.ES256)
	v := newVerifier(t, config(t, key))
	for _, extra := range []string{
		`,"crit":["exp"]`, `,"crit":["exp"],"exp":1`, `,"crit":[]`, `,"crit":"exp"`, `,"crit":null`, `,"crit":["alg"]`, `,"crit":["b64"],"b64":true`,
		`,"crit":[1]`, `,"crit":["missing"]`, `,"b64":false`, `,"b64":"true"`, `,"crit":["b64"],"b64":false`,
	} {
		refuse(t, v, craft(t, key, header(key, extra), payload("")), jwt.ReasonMalformed)
	}
	accept(t, v, craft(t, key, header(key, `,"exp":1,"b64":true,"cty":"x","CRIT":["exp"]`), payload("")))
}

// A key that comes with the token, or from where the token points, is never
// used: neither when it is the only one around nor when the kid is known.
func TestJW_5_HeaderNeverChoosesKey(t *testing.T) {
	key, attacker := generate(t, jwk.ES256), generate(t, jwk.ES256)
	v := newVerifier(t, config(t, key))
	embedded, _ := attacker.MarshalJSON()
	for _, extra := range []string{
		`,"jwk":` + string(embedded), `,"jku":"https://evil.example/jwks"`, `,"x5u":"https://evil.example/c"`, `,"x5c":["AAAA"]`, `,"x5t":"AAAA"`, `,"x5t#S256":"AAAA"`,
	} {
		known := header(key, extra)
		refuse(t, v, craft(t, attacker, known, payload("")), jwt.ReasonBadSignature)
		unknown := strings.Replace(known, key.ID(), attacker.ID(), 1)
		refuse(t, v, craft(t, attacker, unknown, payload("")), jwt.ReasonUnknownKey)
		without := strings.Replace(known, `,"kid":"`+key.ID()+`"`, "", 1)
		refuse(t, v, craft(t, attacker, without, payload("")), jwt.ReasonBadSignature)
		// The true key still counts, whatever else the header says.
		accept(t, v, craft(t, key, known, payload("")))
	}
}

func TestJW_5_Kid(t *testing.T) {
	key := generate(t, jwk.ES256)
	v := newVerifier(t, config(t, key))
	for kid, reason := range map[string]string{
		"../../x": jwt.ReasonUnknownKey, "' OR 1=1 --": jwt.ReasonUnknownKey, "https://evil.example/": jwt.ReasonUnknownKey, `\u0000`: jwt.ReasonUnknownKey,
		strings.ToUpper(key.ID()): jwt.ReasonUnknownKey, key.ID() + " ": jwt.ReasonUnknownKey,
		"": jwt.ReasonMalformed, strings.Repeat("x", 257): jwt.ReasonMalformed,
	} {
		refuse(t, v, craft(t, key, `{"typ":"at+jwt","alg":"ES256","kid":"`+kid+`"}`, payload("")), reason)
	}
	odd, err := key.WithID(`a"b\c/é` + "\x01")
	if err != nil {
		t.Fatal(err)
	}
	got := accept(t, newVerifier(t, config(t, odd)), sign(t, odd, "at+jwt", claims()))
	if got.Header.KeyID != odd.ID() {
		t.Errorf("kid came back as %q", got.Header.KeyID)
	}
}

func TestParse_Unverified(t *testing.T) {
	key := generate(t, jwk.ES256)
	token := sign(t, key, "at+jwt", claims())
	u, err := jwt.Parse(token[:len(token)-86]+strings.Repeat("A", 86), 0)
	if err != nil {
		t.Fatal(err)
	}
	if u.Header.Algorithm != jwk.ES256 || u.Header.KeyID != key.ID() || u.Claims.Issuer != issuer || len(u.Signature) != 64 {
		t.Errorf("parsed as %+v", u)
	}
	if err := u.CheckSignature(key); !errors.Is(err, jwt.ErrBadSignature) && jwt.ReasonOf(err) != jwt.ReasonBadSignature {
		t.Errorf("signature of zeros: %v", err)
	}
	if u, err = jwt.Parse(token, 0); err != nil {
		t.Fatal(err)
	}
	if err := u.CheckSignature(key.Public()); err != nil {
		t.Error(err)
	}
	if err := u.CheckSignature(generate(t, jwk.Ed25519)); jwt.ReasonOf(err) != jwt.ReasonWrongAlgorithm {
		t.Errorf("key of another algorithm: %v", err)
	}
	// A token without a supported algorithm can be looked at, and no more.
	none := b64(`{"alg":"none"}`) + "." + b64(payload("")) + ".AAAA"
	if u, err = jwt.Parse(none, 0); err != nil || u.Header.Algorithm != "none" {
		t.Errorf("looking at alg none: %v", err)
	}
	refuse(t, newVerifier(t, config(t, key)), strings.Replace(none, b64(`{"alg":"none"}`), b64(`{"alg":"none","typ":"at+jwt"}`), 1), jwt.ReasonWrongAlgorithm)
}

func TestClaims_Reading(t *testing.T) {
	key := generate(t, jwk.Ed25519)
	token := craft(t, key, header(key, ""), payload(`,"scope":"a  b c","cnf":{"x":[1],"jkt":"thumb","x5t#S256":"cert"},"act":{"sub":"admin"},`+
		`"amr":["pwd","otp"],"auth_time":1699999990.75,"nbf":1699999990.25,"uses":3,"url#S256":"h","roles":["r"],"ROLES":["admin"],"sid":"","nonce":"n"`))
	c := accept(t, newVerifier(t, config(t, key)), token).Claims
	if c.AuthTime != 1699999990 || c.NotBefore != 1699999991 || c.Uses != 3 || c.URLHash != "h" || c.Nonce != "n" ||
		c.Confirmation != (jwt.Confirmation{KeyThumbprint: "thumb", CertificateThumbprint: "cert", Others: true}) || string(c.Actor) != `{"sub":"admin"}` || len(c.AMR) != 2 {
		t.Errorf("read as %+v", c)
	}
	if !c.HasScope("a") || !c.HasScope("c") || c.HasScope("") || c.HasScope("A") || c.HasScope("a  b") || c.HasScope("ab") {
		t.Error("scopes")
	}
	if !c.Has("uses") || !c.Has("roles") || c.Has("Roles") || c.Has("sid") || c.Has("gid") || c.Has("acr") || !c.Has("cnf") {
		t.Error("Has")
	}
	if !c.Expiry().Equal(now.Add(5*time.Minute)) || !c.Issued().Equal(now) || c.Authenticated().Unix() != c.AuthTime {
		t.Error("times")
	}
	if raw, ok := c.Claim("auth_time"); !ok || string(raw) != "1699999990.75" {
		t.Errorf("auth_time is %s", raw)
	}
	// encoding/json alone would let ROLES fill Roles and admin be granted.
	var own struct {
		Roles []string `json:"roles"`
		Sub   string   `json:"SUB"`
	}
	if err := c.Decode(&own); err != nil || len(own.Roles) != 1 || own.Roles[0] != "r" || own.Sub != "" {
		t.Errorf("decoded as %+v, %v", own, err)
	}
	var all map[string]any
	if err := c.Decode(&all); err != nil || len(all) != 19 {
		t.Errorf("decoded %d claims, %v", len(all), err)
	}
	if string(c.Payload()) == "" || (&jwt.Claims{}).Payload() != nil {
		t.Error("payload")
	}
}
