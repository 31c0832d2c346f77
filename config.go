package jeton

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

const (
	defaultMaxStaleness = 2 * time.Second
	defaultEntries      = 1_000_000
	defaultBytes        = 256 << 20
)

// Config says whose tokens a [Guard] accepts. Issuer and Audience are required.
type Config struct {
	// Issuer is the authority, exactly as in the iss claim. It is https; http is allowed to a loopback
	// address, and elsewhere with InsecureHTTP.
	Issuer string

	// Audience is this API, exactly as in the aud claim. If it is a URL, the guard serves resource metadata
	// for it, see [Guard.Metadata].
	Audience string

	// Client is the API's own client at the authority, see [ClientSecret]. Without one the guard works on
	// signatures alone.
	Client Credential

	// Algorithms may sign tokens. Default: ES256, Ed25519, RS256, ES384, PS256. A token must use the
	// algorithm of its key. With SharedKeys the default has HS256 too.
	Algorithms []jwk.Algorithm

	// Keys are the authority's public keys from elsewhere than JWKSURL, for example pushed by a coordination
	// service (packages jwk/zookeeper and jwk/etcd). They are asked first; a key that they do not have is looked
	// for among those of JWKSURL. Default none.
	Keys jwk.Source

	// SharedKeys are the secrets of a fleet whose tokens the authority signs with HS256: the ring that is
	// registered for Audience, for example from [jwk.NewSecretFile]. Tokens that are signed with a published
	// key are accepted beside them, unless Algorithms has HS256 alone. Every member of the fleet can make
	// tokens that verify; with credentials the guard still refuses what the authority did not issue. Default
	// none.
	SharedKeys jwk.Source

	// MaxStaleness is how long the feed may be silent before the view is not trusted. Default 2 s; the
	// authority sends a heartbeat every 500 ms.
	MaxStaleness time.Duration

	// FailMode says what happens then. The zero value is [Introspect].
	FailMode FailMode

	// Leeway is how long after exp a token is accepted, at most a minute. Default none.
	Leeway time.Duration

	// FutureLeeway is how far ahead of the clock iat and nbf may be, at most a minute. Zero means 10 s,
	// negative none.
	FutureLeeway time.Duration

	// Cache bounds what is remembered of tokens.
	Cache Cache

	// Sessions turns the session cookies of browsers into access tokens, for routes with [AllowCookie]. Default
	// none: cookies are not looked at.
	Sessions SessionSource

	// Realm is the realm in challenges. Default none when there is resource metadata, else "api".
	Realm string

	// ResourceName and Scopes are told in the resource metadata (RFC 9728): a name for people, and the
	// scopes that clients may ask for.
	ResourceName string
	Scopes       []string

	// PublicURL is what comes before the path of a request in the URL that callers know, without a slash at
	// its end: "https://api.example.com", or "https://example.com/api" where a proxy takes /api away. Tokens
	// that are good for one URL (claims url, url#S256) are held against it; what a request says about its
	// host counts for nothing. So are DPoP proofs. Default: the origin of Audience if that is a URL; otherwise
	// such tokens, and those that are bound to a key, are refused.
	PublicURL string

	// RequireDPoP demands on every route what [RequireDPoP] does on one, and says so in the resource metadata.
	RequireDPoP bool

	// DPoPNonce has DPoP proofs carry a nonce that a guard of this API gave out in the last five minutes (RFC 9449
	// section 9): nobody can make proofs ahead. A client without a nonce is refused once, and told one. Processes
	// with the same Client take each other's.
	DPoPNonce bool

	// TrustedProxies are the networks of proxies whose X-Forwarded-For says where a request came from. The
	// header is read from the right: the nearest address that is not a trusted proxy counts. Default none: the
	// header is ignored. Only the demand [Network] and tokens that carry it look.
	TrustedProxies []netip.Prefix

	// JWKSURL, FeedURL, RegistryURL, ConsumeURL and NetworkURL are needed only if the authority does not have
	// them in their usual places: <issuer>/jwks, /revocations, /registry/check, /consume and /network.
	JWKSURL, FeedURL, RegistryURL, ConsumeURL, NetworkURL string

	// HTTPClient makes the requests to the authority. Default: one of the guard's own. Redirects are not
	// followed with credentials.
	HTTPClient *http.Client

	// InsecureHTTP allows plain http to an authority that is not on a loopback address. Whoever can alter
	// that traffic can sign tokens.
	InsecureHTTP bool

	// Now is the clock. Default time.Now, read as the package comment says.
	Now func() time.Time

	// Logger receives a line when the state of things changes, never one per request and never a token.
	// Default slog.Default().
	Logger *slog.Logger

	// Observer is told of checks, of the feed and of round trips. Default none.
	Observer Observer
}

// Cache bounds the memory for tokens that were seen. When it is full, tokens that were not used lately have
// to go; they are then checked as if seen for the first time.
type Cache struct {
	Entries int   // default 1,000,000
	Bytes   int64 // default 256 MiB

	// Proofs is how many DPoP proofs can come in within a minute; each is remembered for as long as it could be
	// sent again. More are refused (dpop_full). Default 1,000,000, which is some 100 MB once they come.
	Proofs int
}

// withDefaults checks the configuration and reports all problems at once.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	add := func(bad bool, problem string) {
		if bad {
			problems = append(problems, errors.New("jeton: "+problem))
		}
	}
	add(c.Audience == "", "Config.Audience is empty")
	add(c.MaxStaleness < 0, "Config.MaxStaleness is negative")
	add(c.Cache.Entries < 0 || c.Cache.Bytes < 0 || c.Cache.Proofs < 0, "Config.Cache is negative")
	add(c.FailMode > Open, "Config.FailMode is unknown")
	if !c.Client.none() {
		// An environment variable that is not set must not silently turn revocation off.
		add(c.Client.id == "", "Config.Client has no id")
		add(*c.Client.secret == "", "Config.Client has an empty secret (use the zero Credential to work on signatures alone)")
	}
	if err := checkURL("Issuer", c.Issuer, c.InsecureHTTP); err != nil {
		problems = append(problems, err)
	}
	for _, at := range []struct {
		field string
		url   *string
		path  string
	}{{"JWKSURL", &c.JWKSURL, "/jwks"}, {"FeedURL", &c.FeedURL, "/revocations"}, {"RegistryURL", &c.RegistryURL, "/registry/check"}, {"ConsumeURL", &c.ConsumeURL, "/consume"}, {"NetworkURL", &c.NetworkURL, "/network"}} {
		if *at.url == "" {
			*at.url = strings.TrimSuffix(c.Issuer, "/") + at.path
		} else if err := checkURL(at.field, *at.url, c.InsecureHTTP); err != nil {
			problems = append(problems, err)
		}
	}
	if c.PublicURL == "" {
		c.PublicURL = publicURL(c.Audience)
	} else if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && u.Scheme != "http" || strings.HasSuffix(c.PublicURL, "/") {
		add(true, "Config.PublicURL is not an absolute URL without a slash at its end")
	}
	add(c.RequireDPoP && c.PublicURL == "", "Config.RequireDPoP needs Config.PublicURL, to know what proofs are made for")
	if len(c.Algorithms) == 0 {
		c.Algorithms = []jwk.Algorithm{jwk.ES256, jwk.Ed25519, jwk.RS256, jwk.ES384, jwk.PS256}
		if c.SharedKeys != nil {
			c.Algorithms = append(c.Algorithms, jwk.HS256)
		}
	}
	symmetric := slices.ContainsFunc(c.Algorithms, jwk.Algorithm.Symmetric)
	// Whoever can check an HMAC can make one: that key cannot come from a public set.
	add(symmetric && c.SharedKeys == nil, "Config.Algorithms has a symmetric algorithm, and there are no SharedKeys")
	add(!symmetric && c.SharedKeys != nil, "Config.SharedKeys is set, but Config.Algorithms has no symmetric algorithm")
	if c.MaxStaleness == 0 {
		c.MaxStaleness = defaultMaxStaleness
	}
	if c.Cache.Entries == 0 {
		c.Cache.Entries = defaultEntries
	}
	if c.Cache.Bytes == 0 {
		c.Cache.Bytes = defaultBytes
	}
	if c.Cache.Proofs == 0 {
		c.Cache.Proofs = defaultProofs
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Algorithms = slices.Clone(c.Algorithms)
	c.Scopes = slices.Clone(c.Scopes)
	c.TrustedProxies = slices.Clone(c.TrustedProxies)
	return c, errors.Join(problems...)
}

// checkURL refuses addresses to which neither trust nor a credential should go.
func checkURL(field, raw string, insecureHTTP bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("jeton: Config.%s is not a plain absolute URL", field)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (insecureHTTP || loopback(u.Hostname())):
		return nil
	}
	return fmt.Errorf("jeton: Config.%s must be https (http only to a loopback address, or with InsecureHTTP)", field)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
