package jwt_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

const logoutEvents = `"events":{"http://schemas.openid.net/event/backchannel-logout":{}}`

// kinds has a good token of every kind. All have the same issuer and audience,
// and as many claims as a mean issuer could give them, so that only the rules of
// the profiles keep them apart.
var kinds = map[string]struct {
	profile jwt.Profile
	typ     string
	claims  string
}{
	"access token":    {jwt.AccessToken, "at+jwt", ""},
	"ID token":        {jwt.IDToken, "JWT", ""},
	"untyped":         {jwt.IDToken, "", ""},
	"logout token":    {jwt.LogoutToken, "logout+jwt", logoutEvents},
	"DPoP proof":      {jwt.DPoPProof, "dpop+jwt", `"htm":"GET","htu":"https://rs.example.com/"`},
	"assertion":       {jwt.ClientAssertion, "client-authentication+jwt", ""},
	"request object":  {jwt.RequestObject, "oauth-authz-req+jwt", ""},
	"security event":  {jwt.SecurityEvent, "secevent+jwt", `"events":{"x":{}}`},
	"introspection":   {jwt.IntrospectionResponse, "token-introspection+jwt", `"token_introspection":{"active":true}`},
	"status list":     {jwt.StatusList, "statuslist+jwt", `"status_list":{"bits":1,"lst":"eNrbuRgAAhcBXQ"}`},
	"identity assert": {jwt.IdentityAssertion, "oauth-id-jag+jwt", ""},
}

const everything = `{"iss":"https://as.example.com","sub":"https://as.example.com","aud":"https://rs.example.com","client_id":"c",` +
	`"iat":1700000000,"exp":1700000300,"jti":"j","sid":"s"`

func kindToken(tb testing.TB, key *jwk.Key, name string) string {
	tb.Helper()
	k := kinds[name]
	p := everything
	if k.claims != "" {
		p += "," + k.claims
	}
	if name == "DPoP proof" {
		token, err := jwt.SignDPoP(key, jwt.Claims{ID: "j", HTTPMethod: "GET", HTTPURI: audience + "/", IssuedAt: now.Unix(),
			Issuer: issuer, Subject: issuer, Audience: []string{audience}, ClientID: "c", ExpiresAt: now.Unix() + 300})
		if err != nil {
			tb.Fatal(err)
		}
		return token
	}
	token, err := jwt.SignPayload(key, k.typ, []byte(p+"}"))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func kindVerifier(tb testing.TB, key *jwk.Key, p jwt.Profile) *jwt.Verifier {
	tb.Helper()
	c := config(tb, key)
	c.Profile, c.MaxAge = p, time.Minute
	if p.Type == "dpop+jwt" {
		c.Issuer, c.Audience, c.Keys = "", nil, nil
	}
	return newVerifier(tb, c)
}

// Each kind against the verifier of each other kind.
func TestJW_22_KindsExcludeEachOther(t *testing.T) {
	key := generate(t, jwk.Ed25519)
	for tokenKind := range kinds {
		token := kindToken(t, key, tokenKind)
		for verifierKind, k := range kinds {
			t.Run(tokenKind+" as "+verifierKind, func(t *testing.T) {
				v := kindVerifier(t, key, k.profile)
				untyped := kinds[tokenKind].typ == "" || kinds[tokenKind].typ == "JWT"
				switch {
				case tokenKind == verifierKind, untyped && k.profile.Type == "":
					accept(t, v, token)
				case untyped && verifierKind == "assertion":
					// Clients may leave the typ out: what keeps ID tokens away from
					// this verifier is that issuer and subject must be the client.
					other := craft(t, key, `{"alg":"Ed25519","kid":"`+key.ID()+`","typ":"JWT"}`,
						strings.Replace(everything+"}", `"sub":"https://as.example.com"`, `"sub":"person"`, 1))
					refuse(t, v, other, jwt.ReasonWrongSubject)
				default:
					refuse(t, v, token, jwt.ReasonWrongType)
				}
			})
		}
	}
}

func TestOP_6_IDToken(t *testing.T) {
	key := generate(t, jwk.RS256)
	c := config(t, key)
	c.Profile, c.Audience = jwt.IDToken, []string{"client-1"}
	v := newVerifier(t, c)
	for name, tc := range map[string]struct{ aud, extra, reason string }{
		"one audience":            {`"client-1"`, ``, ""},
		"azp is us":               {`["client-1","client-2"]`, `,"azp":"client-1"`, ""},
		"azp with one audience":   {`"client-1"`, `,"azp":"client-1"`, ""},
		"azp is another":          {`["client-1","client-2"]`, `,"azp":"client-2"`, jwt.ReasonWrongAudience},
		"azp another, aud us":     {`"client-1"`, `,"azp":"client-2"`, jwt.ReasonWrongAudience},
		"two audiences, no azp":   {`["client-1","client-2"]`, ``, jwt.ReasonMissingClaim},
		"for another client":      {`"client-2"`, ``, jwt.ReasonWrongAudience},
		"an untyped logout token": {`"client-1"`, "," + logoutEvents, jwt.ReasonForbiddenClaim},
	} {
		t.Run(name, func(t *testing.T) {
			p := strings.Replace(everything, `"https://rs.example.com"`, tc.aud, 1) + tc.extra + "}"
			token := craft(t, key, `{"alg":"RS256","kid":"`+key.ID()+`"}`, p)
			if tc.reason == "" {
				accept(t, v, token)
			} else {
				refuse(t, v, token, tc.reason)
			}
		})
	}
}

func TestBC_1_LogoutToken(t *testing.T) {
	key := generate(t, jwk.RS256)
	c := config(t, key)
	c.Profile = jwt.LogoutToken
	v := newVerifier(t, c)
	typed := `{"alg":"RS256","typ":"logout+jwt","kid":"` + key.ID() + `"}`
	base := everything + "," + logoutEvents
	for name, tc := range map[string]struct{ payload, reason string }{
		"good":             {base + "}", ""},
		"only sub":         {strings.Replace(base, `,"sid":"s"`, "", 1) + "}", ""},
		"only sid":         {strings.Replace(base, `"sub":"https://as.example.com",`, "", 1) + "}", ""},
		"neither":          {strings.Replace(strings.Replace(base, `"sub":"https://as.example.com",`, "", 1), `,"sid":"s"`, "", 1) + "}", jwt.ReasonMissingClaim},
		"nonce":            {base + `,"nonce":"n"}`, jwt.ReasonForbiddenClaim},
		"empty nonce":      {base + `,"nonce":""}`, jwt.ReasonForbiddenClaim},
		"no events":        {everything + "}", jwt.ReasonMissingClaim},
		"another event":    {everything + `,"events":{"x":{}}}`, jwt.ReasonMissingClaim},
		"event not object": {everything + `,"events":{"http://schemas.openid.net/event/backchannel-logout":true}}`, jwt.ReasonMissingClaim},
		"events array":     {everything + `,"events":["http://schemas.openid.net/event/backchannel-logout"]}`, jwt.ReasonMalformed},
		"no jti":           {strings.Replace(base, `"jti":"j",`, "", 1) + "}", jwt.ReasonMissingClaim},
	} {
		t.Run(name, func(t *testing.T) {
			token := craft(t, key, typed, tc.payload)
			if tc.reason == "" {
				accept(t, v, token)
			} else {
				refuse(t, v, token, tc.reason)
			}
		})
	}
}

func TestAUT_1_2_3_4_ClientAssertion(t *testing.T) {
	key := generate(t, jwk.ES256)
	c := config(t, key)
	c.Profile, c.Issuer, c.Audience = jwt.ClientAssertion, "client-1", []string{issuer}
	v := newVerifier(t, c)
	base := `{"iss":"client-1","sub":"client-1","aud":"https://as.example.com","jti":"j","exp":1700000060}`
	for name, tc := range map[string]struct{ typ, old, new, reason string }{
		"good":               {"client-authentication+jwt", "", "", ""},
		"no typ":             {"", "", "", ""},
		"typ JWT":            {"JWT", "", "", ""},
		"another typ":        {"at+jwt", "", "", jwt.ReasonWrongType},
		"array of one":       {"", `"https://as.example.com"`, `["https://as.example.com"]`, ""},
		"two audiences":      {"", `"https://as.example.com"`, `["https://as.example.com","https://x"]`, jwt.ReasonWrongAudience},
		"the token endpoint": {"", `"https://as.example.com"`, `"https://as.example.com/token"`, jwt.ReasonWrongAudience},
		"another subject":    {"", `"sub":"client-1"`, `"sub":"client-2"`, jwt.ReasonWrongSubject},
		"another client":     {"", `client-1`, `client-2`, jwt.ReasonWrongIssuer},
		"no exp":             {"", `,"exp":1700000060`, ``, jwt.ReasonMissingClaim},
		"no jti":             {"", `"jti":"j",`, ``, jwt.ReasonMissingClaim},
		"iat in 30 s":        {"", `}`, `,"iat":1700000030}`, jwt.ReasonIssuedInFuture},
		"nbf in 10 s":        {"", `}`, `,"nbf":1700000010}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			token := sign(t, key, tc.typ, raw(strings.ReplaceAll(base, orNever(tc.old), tc.new)))
			if tc.reason == "" {
				accept(t, v, token)
			} else {
				refuse(t, v, token, tc.reason)
			}
		})
	}
}

func orNever(s string) string {
	if s == "" {
		return "\x00"
	}
	return s
}

type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func TestDP_2_3_4_5_6_7_11_15_DPoPProof(t *testing.T) {
	key := generate(t, jwk.ES256)
	v := newVerifier(t, jwt.Config{Profile: jwt.DPoPProof, Algorithms: []jwk.Algorithm{jwk.ES256, jwk.EdDSA, jwk.RS256}, Now: clock})
	own := public(t, key)
	private, _ := key.MarshalPrivate()
	const good = `{"jti":"j","htm":"GET","htu":"https://rs.example.com/","iat":1700000000}`
	head := func(jwkMember string) string { return `{"typ":"dpop+jwt","alg":"ES256"` + jwkMember + `}` }
	got := accept(t, v, craft(t, key, head(`,"jwk":`+own), good))
	if got.Key.Thumbprint() != key.Thumbprint() || got.Key.Private() || got.Claims.HTTPMethod != "GET" || got.Claims.HTTPURI != "https://rs.example.com/" {
		t.Errorf("read as %+v", got)
	}
	silent := strings.Replace(own, `,"alg":"ES256"`, "", 1)
	accept(t, v, craft(t, key, head(`,"jwk":`+silent), good))
	ed := generate(t, jwk.EdDSA)
	accept(t, v, craft(t, ed, `{"typ":"dpop+jwt","alg":"EdDSA","jwk":`+strings.Replace(public(t, ed), `,"alg":"EdDSA"`, "", 1)+`}`, good))
	for name, tc := range map[string]struct{ header, payload, reason string }{
		"no key":              {head(""), good, jwt.ReasonMalformed},
		"key not an object":   {head(`,"jwk":"x"`), good, jwt.ReasonMalformed},
		"DP-7 private":        {head(`,"jwk":` + string(private)), good, jwt.ReasonMalformed},
		"DP-7 oct":            {head(`,"jwk":{"kty":"oct","k":"` + strings.Repeat("A", 43) + `"}`), good, jwt.ReasonMalformed},
		"DP-6 another key":    {head(`,"jwk":` + public(t, generate(t, jwk.ES256))), good, jwt.ReasonBadSignature},
		"DP-5 HS256":          {`{"typ":"dpop+jwt","alg":"HS256","jwk":` + own + `}`, good, jwt.ReasonWrongAlgorithm},
		"DP-5 none":           {`{"typ":"dpop+jwt","alg":"none","jwk":` + own + `}`, good, jwt.ReasonWrongAlgorithm},
		"DP-5 key's alg":      {`{"typ":"dpop+jwt","alg":"RS256","jwk":` + own + `}`, good, jwt.ReasonWrongAlgorithm},
		"DP-4 typ":            {`{"typ":"JWT","alg":"ES256","jwk":` + own + `}`, good, jwt.ReasonWrongType},
		"DP-3 no jti":         {head(`,"jwk":` + own), strings.Replace(good, `"jti":"j",`, "", 1), jwt.ReasonMissingClaim},
		"DP-3 no htm":         {head(`,"jwk":` + own), strings.Replace(good, `"htm":"GET",`, "", 1), jwt.ReasonMissingClaim},
		"DP-3 no htu":         {head(`,"jwk":` + own), strings.Replace(good, `"htu":"https://rs.example.com/",`, "", 1), jwt.ReasonMissingClaim},
		"DP-3 no iat":         {head(`,"jwk":` + own), strings.Replace(good, `,"iat":1700000000`, "", 1), jwt.ReasonMissingClaim},
		"DP-3 htm not string": {head(`,"jwk":` + own), strings.Replace(good, `"GET"`, `["GET"]`, 1), jwt.ReasonMalformed},
		"DP-11 old":           {head(`,"jwk":` + own), strings.Replace(good, `1700000000`, `1699999939`, 1), jwt.ReasonTooOld},
		"DP-11 ahead":         {head(`,"jwk":` + own), strings.Replace(good, `1700000000`, `1700000011`, 1), jwt.ReasonIssuedInFuture},
		"DP-15 exp":           {head(`,"jwk":` + own), strings.Replace(good, `}`, `,"exp":1700000000}`, 1), jwt.ReasonExpired},
	} {
		t.Run(name, func(t *testing.T) { refuse(t, v, craft(t, key, tc.header, tc.payload), tc.reason) })
	}
	if _, err := jwt.SignDPoP(generate(t, jwk.HS256), claims()); err == nil {
		t.Error("a proof with a shared secret")
	}
}
