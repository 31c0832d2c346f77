package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

// Config sets up [Credentials] and [Refresh]. ID and one of Issuer and TokenURL are required.
type Config struct {
	// Issuer is the authority, for example https://id.example.com. Tokens are got from <issuer>/token; the
	// authority's metadata is not read, so that nobody who can alter it can move the credentials elsewhere.
	Issuer string

	// TokenURL is the token endpoint, if it is not <issuer>/token. It must be https, or http to a loopback
	// address.
	TokenURL string

	// ID is the client's id at the authority.
	ID string

	// Secret is the client's secret, sent as client_secret_basic (RFC 6749 section 2.3.1). [Credentials]
	// requires it; a public client has none.
	Secret Secret

	// Scope is what [Credentials] asks for, separated by spaces; empty means all the client is registered
	// for. [Refresh] refuses it: access tokens are shared through the store, so all have the scope that was
	// granted at sign-in.
	Scope string

	// Key binds the tokens to this private key (DPoP, RFC 9449): whoever steals one can do nothing without the key.
	// Make one with jwk.Generate(jwk.ES256), or jwk.New with a key that does not leave its hardware. It signs a proof
	// for each request to the authority and, in a [Transport], to APIs. [Refresh] uses the key in the store; this
	// one is for sign-ins that have none yet, and is stored with the first refresh. Nil: bearer tokens.
	Key *jwk.Key

	// Store keeps the sign-in of [Refresh], which requires it. [Credentials] has nothing to keep.
	Store Store

	// HTTPClient makes the requests; nil means a plain one. It is copied, and follows no redirects.
	HTTPClient *http.Client

	// EarlyRefresh is how long before its expiry a token is replaced. Zero means a fifth of the token's
	// lifetime, but at least 30 seconds; negative means not before it has expired. It is never more than half
	// of the lifetime, and it is spread by a quarter to both sides, so that a fleet started at one moment
	// does not refresh at one moment.
	EarlyRefresh time.Duration

	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// OnError is told about each failed attempt, also those that no caller has to notice, and about a sign-in
	// that could not be stored. It is called from goroutines of this package, and it may be nil.
	OnError func(error)

	// InsecureHTTP allows plain http to hosts that are not loopback. Everybody on the way can then read the
	// credentials and the tokens.
	InsecureHTTP bool
}

// endpoint checks what both kinds of sources need.
func (c *Config) endpoint() (*endpoint, error) {
	var problems []error
	if c.ID == "" {
		problems = append(problems, errors.New("ID is missing"))
	}
	address, given := c.TokenURL, c.TokenURL
	if given == "" {
		address, given = strings.TrimSuffix(c.Issuer, "/")+"/token", c.Issuer
	}
	if given == "" {
		problems = append(problems, errors.New("one of Issuer and TokenURL is needed"))
	} else if err := checkURL(given, c.InsecureHTTP); err != nil {
		problems = append(problems, err)
	}
	if c.Key != nil && (!c.Key.Private() || c.Key.Algorithm().Symmetric()) {
		problems = append(problems, errors.New("the Key is no private key of an asymmetric algorithm"))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("client: %w", errors.Join(problems...))
	}
	e := &endpoint{url: address, id: c.ID, secret: c.Secret, key: c.Key, now: c.clock(), http: &http.Client{}}
	if c.HTTPClient != nil {
		*e.http = *c.HTTPClient
	}
	// The credentials are for this address and no other.
	e.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return e, nil
}

func (c *Config) clock() func() time.Time {
	if c.Now != nil {
		return c.Now
	}
	return time.Now
}

func (c *Config) errorHook() func(error) {
	if c.OnError != nil {
		return c.OnError
	}
	return func(error) {}
}

func checkURL(address string, insecureHTTP bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("the authority's URL does not parse")
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New("the authority's URL needs a host, and no user or fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (insecureHTTP || loopback(u.Hostname())):
		return nil
	}
	return errors.New("the authority's URL must be https (http only to loopback)")
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
