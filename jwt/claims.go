package jwt

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

// Claims are the claims of a token. The fields are those that some check or
// handler needs; all others are reached by [Claims.Claim] and [Claims.Decode].
// A claim that a token does not have leaves its field zero; [Claims.Has] tells
// the difference. Times are seconds since 1970.
//
// Claims can also be given to [Sign]: zero fields are left out.
type Claims struct {
	Issuer          string   // iss
	Subject         string   // sub
	Audience        []string // aud, written as a string when it has one member
	ClientID        string   // client_id
	AuthorizedParty string   // azp
	IssuedAt        int64    // iat, a fraction cut off
	ExpiresAt       int64    // exp, a fraction cut off
	NotBefore       int64    // nbf, a fraction rounded up
	ID              string   // jti
	Scope           string   // scope, names separated by spaces
	SessionID       string   // sid
	GrantID         string   // gid
	AuthTime        int64    // auth_time, a fraction cut off
	ACR             string   // acr
	AMR             []string // amr
	Nonce           string   // nonce
	AccessTokenHash string   // at_hash, see HalfHash
	CodeHash        string   // c_hash

	Confirmation Confirmation    // cnf, the members known here
	Actor        json.RawMessage // act
	Events       json.RawMessage // events

	URL     string // url: the one URL the token is good for
	URLHash string // url#S256: its SHA-256, base64url
	Method  string // method
	Uses    int64  // uses: how often the token may be used
	Version int64  // ver: of the account, when the token was issued
	Network string // net: digests of the networks it is for

	HTTPMethod string // htm, in a DPoP proof
	HTTPURI    string // htu, in a DPoP proof
	TokenHash  string // ath, in a DPoP proof

	// Extra is written by Sign after the named claims, in the order of its names.
	// Reading a token does not fill it.
	Extra map[string]any

	payload string
	present claimBits
}

// Confirmation says who may present the token (RFC 7800).
type Confirmation struct {
	KeyThumbprint         string // jkt: RFC 9449 section 6.1
	CertificateThumbprint string // x5t#S256: RFC 8705 section 3.1

	// Others reports members that are not known here. Sign does not write it.
	Others bool
}

// claimBits is a set of the claims this package knows.
type claimBits uint64

const (
	bitIss claimBits = 1 << iota
	bitSub
	bitAud
	bitClientID
	bitAzp
	bitIat
	bitExp
	bitNbf
	bitJti
	bitScope
	bitSid
	bitGid
	bitAuthTime
	bitAcr
	bitAmr
	bitNonce
	bitAtHash
	bitCHash
	bitCnf
	bitAct
	bitEvents
	bitURL
	bitURLHash
	bitMethod
	bitUses
	bitVersion
	bitNetwork
	bitHtm
	bitHtu
	bitAth
)

func claimBit(name string) claimBits {
	switch name {
	case "iss":
		return bitIss
	case "sub":
		return bitSub
	case "aud":
		return bitAud
	case "client_id":
		return bitClientID
	case "azp":
		return bitAzp
	case "iat":
		return bitIat
	case "exp":
		return bitExp
	case "nbf":
		return bitNbf
	case "jti":
		return bitJti
	case "scope":
		return bitScope
	case "sid":
		return bitSid
	case "gid":
		return bitGid
	case "auth_time":
		return bitAuthTime
	case "acr":
		return bitAcr
	case "amr":
		return bitAmr
	case "nonce":
		return bitNonce
	case "at_hash":
		return bitAtHash
	case "c_hash":
		return bitCHash
	case "cnf":
		return bitCnf
	case "act":
		return bitAct
	case "events":
		return bitEvents
	case "url":
		return bitURL
	case "url#S256":
		return bitURLHash
	case "method":
		return bitMethod
	case "uses":
		return bitUses
	case "ver":
		return bitVersion
	case "net":
		return bitNetwork
	case "htm":
		return bitHtm
	case "htu":
		return bitHtu
	case "ath":
		return bitAth
	}
	return 0
}

// read fills c from a payload, in one pass. one is room for an audience of one.
func (c *Claims) read(payload string, one []string) error {
	if !utf8.ValidString(payload) {
		return malformed("claims are not UTF-8")
	}
	c.payload = payload
	sc := scanner{s: payload}
	var others nameset
	var seen claimBits
	for more := sc.open('{', '}'); more; more = sc.more('}') {
		name := sc.name()
		if sc.err != nil {
			break
		}
		bit := claimBit(name)
		if bit == 0 {
			if !others.add(name) {
				sc.fail("a JSON member appears twice")
			}
			sc.skip(1)
			continue
		}
		if seen&bit != 0 {
			sc.fail("a JSON member appears twice")
			break
		}
		seen |= bit
		c.readClaim(&sc, bit, one)
		if sc.err != nil {
			return &Error{Reason: ReasonMalformed, Detail: "claim " + name, Err: sc.err}
		}
	}
	sc.end()
	c.present |= seen &^ textClaims
	return sc.err
}

// textClaims count as present only when they are not empty: a "sub" of "" says
// no more than none at all.
const textClaims = bitIss | bitSub | bitAud | bitClientID | bitJti | bitHtm | bitHtu | bitAth | bitSid | bitGid

func (c *Claims) readClaim(sc *scanner, bit claimBits, one []string) {
	switch bit {
	case bitAud:
		c.readAudience(sc, one)
	case bitIat:
		c.IssuedAt, _ = sc.date()
	case bitExp:
		c.ExpiresAt, _ = sc.date()
	case bitAuthTime:
		c.AuthTime, _ = sc.date()
	case bitNbf:
		var part bool
		if c.NotBefore, part = sc.date(); part {
			c.NotBefore++
		}
	case bitUses:
		var part bool
		if c.Uses, part = sc.date(); part {
			sc.fail("not a whole number")
		}
	case bitVersion:
		var part bool
		if c.Version, part = sc.date(); part {
			sc.fail("not a whole number")
		}
	case bitAmr:
		c.AMR = sc.texts(make([]string, 0, 4))
	case bitCnf:
		c.Confirmation.read(sc)
	case bitAct:
		c.Actor = object(sc)
	case bitEvents:
		c.Events = object(sc)
	default:
		field := c.text(bit)
		if *field = sc.text(); *field != "" {
			c.present |= bit
		}
	}
}

func (c *Claims) text(bit claimBits) *string {
	switch bit {
	case bitIss:
		return &c.Issuer
	case bitSub:
		return &c.Subject
	case bitClientID:
		return &c.ClientID
	case bitAzp:
		return &c.AuthorizedParty
	case bitJti:
		return &c.ID
	case bitScope:
		return &c.Scope
	case bitSid:
		return &c.SessionID
	case bitGid:
		return &c.GrantID
	case bitAcr:
		return &c.ACR
	case bitNonce:
		return &c.Nonce
	case bitAtHash:
		return &c.AccessTokenHash
	case bitCHash:
		return &c.CodeHash
	case bitURL:
		return &c.URL
	case bitURLHash:
		return &c.URLHash
	case bitMethod:
		return &c.Method
	case bitNetwork:
		return &c.Network
	case bitHtm:
		return &c.HTTPMethod
	case bitHtu:
		return &c.HTTPURI
	default:
		return &c.TokenHash
	}
}

// readAudience takes a string or an array of strings (RFC 7519 section 4.1.3).
// An empty array is for nobody and refused.
func (c *Claims) readAudience(sc *scanner, one []string) {
	if sc.peek() == '"' {
		c.Audience = append(one, sc.text())
	} else if c.Audience = sc.texts(one); len(c.Audience) == 0 {
		sc.fail("no audience")
	}
	c.present |= bitAud
}

func (cnf *Confirmation) read(sc *scanner) {
	var seen nameset
	for more := sc.open('{', '}'); more; more = sc.more('}') {
		name := sc.name()
		if sc.err == nil && !seen.add(name) {
			sc.fail("a JSON member appears twice")
		}
		switch name {
		case "jkt":
			cnf.KeyThumbprint = sc.text()
		case "x5t#S256":
			cnf.CertificateThumbprint = sc.text()
		default:
			cnf.Others = true
			sc.skip(2)
		}
	}
}

func object(sc *scanner) json.RawMessage {
	if sc.peek() != '{' {
		sc.fail("not an object")
		return nil
	}
	return json.RawMessage(sc.skip(1))
}

// Has reports whether the token has the claim. Identifiers that are there but
// empty (iss, sub, aud, client_id, jti, sid, gid, htm, htu, ath) count as absent.
func (c *Claims) Has(name string) bool {
	if bit := claimBit(name); bit != 0 {
		return c.present&bit != 0
	}
	_, ok := c.Claim(name)
	return ok
}

// Registered reports whether a claim of this name has a field in [Claims], so
// that it cannot be in Extra.
func Registered(name string) bool { return claimBit(name) != 0 }

// Expiry is ExpiresAt as a time, zero when the token has none.
func (c *Claims) Expiry() time.Time { return c.time(bitExp, c.ExpiresAt) }

// Issued is IssuedAt as a time, zero when the token has none.
func (c *Claims) Issued() time.Time { return c.time(bitIat, c.IssuedAt) }

// Authenticated is AuthTime as a time, zero when the token has none.
func (c *Claims) Authenticated() time.Time { return c.time(bitAuthTime, c.AuthTime) }

func (c *Claims) time(bit claimBits, seconds int64) time.Time {
	if seconds == 0 && c.present&bit == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// Scopes yields the names in Scope, one by one.
func (c *Claims) Scopes(yield func(string) bool) {
	for rest := c.Scope; rest != ""; {
		i := 0
		for i < len(rest) && rest[i] != ' ' {
			i++
		}
		if i > 0 && !yield(rest[:i]) {
			return
		}
		rest = rest[min(i+1, len(rest)):]
	}
}

// HasScope reports whether Scope has exactly this name in it.
func (c *Claims) HasScope(name string) bool {
	for scope := range c.Scopes {
		if scope == name {
			return true
		}
	}
	return false
}
