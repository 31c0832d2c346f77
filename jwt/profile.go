package jwt

import (
	"bytes"
	"encoding/json"
)

// Profile is what makes one kind of token different from all others: RFC 8725
// section 3.12 asks for rules that exclude each other, so that a token made for
// one purpose is refused for every other.
type Profile struct {
	// Type is the media type that the "typ" header must have, without
	// "application/". Only [IDToken] has none.
	Type string

	// TypeOptional also accepts tokens whose typ is absent or "JWT", from issuers
	// that do not type their tokens. Such a token may then be of any kind that
	// has the required claims.
	TypeOptional bool

	// Required are names of claims that must be there and, where they identify
	// something, not be empty.
	Required []string

	untyped  bool // no explicit type: absent or "JWT", nothing else
	embedded bool // the key is in the header, and there is no issuer or audience
	check    func(*Claims, *Config) error
}

// The kinds of tokens this project knows. Each can be copied and tightened.
var (
	// AccessToken is RFC 9068.
	AccessToken = Profile{
		Type:     "at+jwt",
		Required: []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"},
	}

	// IDToken is OpenID Connect Core section 2. Its typ is "JWT" or absent. The
	// audience is the client; azp, when present or needed, must be it too.
	IDToken = Profile{
		Required: []string{"iss", "sub", "aud", "exp", "iat"},
		untyped:  true,
		check:    checkIDToken,
	}

	// LogoutToken is OpenID Connect Back-Channel Logout section 2.4.
	LogoutToken = Profile{
		Type:     "logout+jwt",
		Required: []string{"iss", "aud", "iat", "exp", "jti", "events"},
		check:    checkLogoutToken,
	}

	// DPoPProof is RFC 9449 section 4.2. Its key stands in its own header:
	// verifying one shows that the sender has that key and nothing else. The
	// caller compares htm, htu, ath, nonce and the thumbprint of Token.Key.
	DPoPProof = Profile{
		Type:     "dpop+jwt",
		Required: []string{"jti", "htm", "htu", "iat"},
		embedded: true,
	}

	// ClientAssertion is RFC 7523 section 3 as RFC 10070 updates it: issuer and
	// subject are the client, and the audience is this server and nobody else.
	ClientAssertion = Profile{
		Type:         "client-authentication+jwt",
		TypeOptional: true, // clients from before RFC 10070 send none
		Required:     []string{"iss", "sub", "aud", "exp", "jti"},
		check:        checkClientAssertion,
	}

	// RequestObject is RFC 9101.
	RequestObject = Profile{Type: "oauth-authz-req+jwt", Required: []string{"iss", "aud", "exp", "client_id"}}

	// SecurityEvent is RFC 8417. It has no exp: set Config.MaxAge.
	SecurityEvent = Profile{Type: "secevent+jwt", Required: []string{"iss", "iat", "jti", "events"}}

	// IntrospectionResponse is RFC 9701. It has no exp: set Config.MaxAge.
	IntrospectionResponse = Profile{Type: "token-introspection+jwt", Required: []string{"iss", "aud", "iat", "token_introspection"}}

	// StatusList is the Token Status List draft. Its subject is its own URL.
	StatusList = Profile{Type: "statuslist+jwt", Required: []string{"sub", "iat", "status_list"}}

	// IdentityAssertion is the identity assertion authorization grant (ID-JAG).
	IdentityAssertion = Profile{
		Type:     "oauth-id-jag+jwt",
		Required: []string{"iss", "sub", "aud", "client_id", "jti", "exp", "iat"},
		check:    checkSoleAudience,
	}
)

// accepts decides by the typ header alone.
func (p *Profile) accepts(typ string) bool {
	if p.untyped || p.TypeOptional {
		if typ == "" || sameType(typ, "JWT") {
			return true
		}
	}
	return sameType(typ, p.Type)
}

// checkIDToken has the azp rules of OpenID Connect Core section 3.1.3.7, and
// keeps out a logout token that its issuer left untyped.
func checkIDToken(c *Claims, config *Config) error {
	if c.Has("events") {
		return &Error{Reason: ReasonForbiddenClaim, Detail: "events in an ID token"}
	}
	switch {
	case config.InsecureNoAudience || len(c.Audience) == 1 && c.AuthorizedParty == "":
		return nil
	case c.AuthorizedParty == "":
		return &Error{Reason: ReasonMissingClaim, Detail: "azp, with several audiences"}
	case !contains(config.Audience, c.AuthorizedParty):
		return &Error{Reason: ReasonWrongAudience, Detail: "azp is somebody else"}
	}
	return nil
}

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

func checkLogoutToken(c *Claims, _ *Config) error {
	if c.Has("nonce") {
		return &Error{Reason: ReasonForbiddenClaim, Detail: "nonce in a logout token"}
	}
	if !c.Has("sub") && !c.Has("sid") {
		return &Error{Reason: ReasonMissingClaim, Detail: "sub or sid"}
	}
	var events map[string]json.RawMessage
	if err := json.Unmarshal(c.Events, &events); err != nil {
		return malformed("events")
	}
	if !bytes.HasPrefix(events[logoutEvent], []byte("{")) {
		return &Error{Reason: ReasonMissingClaim, Detail: "the logout event"}
	}
	return nil
}

func checkClientAssertion(c *Claims, config *Config) error {
	if c.Subject != c.Issuer {
		return &Error{Reason: ReasonWrongSubject, Detail: "issuer and subject differ"}
	}
	return checkSoleAudience(c, config)
}

func checkSoleAudience(c *Claims, _ *Config) error {
	if len(c.Audience) != 1 {
		return &Error{Reason: ReasonWrongAudience, Detail: "more than one audience"}
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, other := range list {
		if other == s {
			return true
		}
	}
	return false
}
