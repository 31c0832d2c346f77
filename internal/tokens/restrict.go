package tokens

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/jetonhq/jeton/jwt"
)

// maxUses bounds the uses of one token: each is a row until the token expires.
const maxUses = 10_000

// maxURL bounds the URL a token is for, in bytes. It is in every request.
const maxURL = 2048

// Restriction narrows what a token may be used for. The zero value narrows nothing.
type Restriction struct {
	URL     string // absolute; the only one it is good for
	HashURL bool   // carry only the URL's hash
	Method  string
	Uses    int64 // 0: any number
}

// Problem says what is wrong with r, or "".
func (r Restriction) Problem() string {
	if r.URL != "" {
		u, err := url.Parse(r.URL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || strings.Contains(r.URL, "#"):
			return "url must be an absolute http or https URL without user and fragment"
		case !strings.HasPrefix(u.EscapedPath(), "/"):
			return "url must have a path, if only a slash"
		case u.Host != strings.ToLower(u.Host):
			return "the host in url must be lower case"
		case len(r.URL) > maxURL:
			return "url is too long"
		}
	}
	switch {
	case r.HashURL && r.URL == "":
		return "a hash was asked for, but no url"
	case len(r.Method) > 32 || strings.Trim(r.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return "method must be a word in capitals"
	case r.Uses < 0 || r.Uses > maxUses:
		return "uses must be 1 to 10000"
	}
	return ""
}

// Narrows reports whether r restricts anything.
func (r Restriction) Narrows() bool { return r != Restriction{} }

// claim writes r into the claims of a token.
func (r Restriction) claim(c *jwt.Claims) {
	c.URL, c.Method, c.Uses = r.URL, r.Method, r.Uses
	if r.HashURL {
		sum := sha256.Sum256([]byte(r.URL))
		c.URL, c.URLHash = "", base64.RawURLEncoding.EncodeToString(sum[:])
	}
}
