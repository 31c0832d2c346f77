package bff

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/oauth"
)

const (
	defaultPath     = "/auth"
	defaultIdle     = time.Hour
	defaultAbsolute = 24 * time.Hour
)

// Config sets up an [App]. Issuer, ClientID, ClientSecret and PublicURL are required.
type Config struct {
	// Issuer is the authority, exactly as in the iss claim. It is https; http is allowed to a loopback address,
	// and elsewhere with InsecureHTTP.
	Issuer string

	// ClientID and ClientSecret are the app's own client at the authority: a confidential one, with the grant types
	// authorization_code and refresh_token, and with the redirect URI that [App.RedirectURI] gives.
	ClientID     string
	ClientSecret client.Secret

	// PublicURL is the origin that browsers know, such as https://app.example.com, without a path: the session
	// cookie is for all of it. Plain http is allowed on a loopback address, for development; the cookie then has no
	// Secure and no __Host- prefix, so that other programs on the machine may plant one.
	PublicURL string

	// Path is below what the app's own routes are. Default /auth.
	Path string

	// Scope is what is asked for at sign-in, separated by spaces. openid is always among it.
	Scope string

	// Claims are those about the person that the browser may know, besides sub: they come from the ID token and the
	// authority's userinfo, and are told by the session route.
	Claims []string

	// Upstreams are the APIs that requests are passed on to, with the session's access token. Nothing else gets one.
	Upstreams []Upstream

	// Store keeps the sessions. Default: a [MemoryStore].
	Store Store

	// Keys seal what is stored, and the cookies of sign-ins that are under way: the first seals, and all open, so
	// that a key can be replaced without signing anybody out. Each has at least 32 characters, best 32 random bytes
	// in base64. Required with a Store; without one, the default is a key that ends with the program.
	Keys []client.Secret

	// Idle is how long a session lasts without a request, and Absolute how long at most. Default an hour, and a day.
	Idle, Absolute time.Duration

	// StrictCookie has the session cookie made SameSite=Strict instead of Lax: it is then not sent with the first
	// request after a link from another site, so that pages must not need it and ask for the session by themselves.
	StrictCookie bool

	// SignedOutPath is where people get after signing out at the authority too. Its URL has to be registered there
	// (post_logout_redirect_uris). Default /.
	SignedOutPath string

	// HTTPClient makes the requests to the authority; Transport those to upstreams. Default: plain ones.
	HTTPClient *http.Client
	Transport  http.RoundTripper

	// Now is the clock. Default time.Now. Servers that share a store need clocks that agree within a few seconds.
	Now func() time.Time

	// Logger receives what goes wrong, never a token. Default slog.Default().
	Logger *slog.Logger

	// InsecureHTTP allows plain http to an authority that is not on a loopback address. Whoever can read that
	// traffic has the tokens of everybody.
	InsecureHTTP bool
}

// Upstream is an API behind the app. A request below Path goes to URL, with the rest of its path and its query:
// with Path /api/ and URL https://api.example.com/v1, /api/reports becomes https://api.example.com/v1/reports.
type Upstream struct {
	Path string // begins and ends with a slash
	URL  string // http or https, without query and fragment
}

// withDefaults checks the configuration and reports all problems at once.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	add := func(bad bool, problem string) {
		if bad {
			problems = append(problems, errors.New("bff: "+problem))
		}
	}
	c.Path, c.SignedOutPath = cmp.Or(c.Path, defaultPath), cmp.Or(c.SignedOutPath, "/")
	c.Idle, c.Absolute = cmp.Or(c.Idle, defaultIdle), cmp.Or(c.Absolute, defaultAbsolute)
	scope, ok := oauth.ParseScope(c.Scope)
	if !scope.Has(oauth.ScopeOpenID) {
		scope = append(oauth.Scope{oauth.ScopeOpenID}, scope...)
	}
	c.Scope = scope.String()
	add(!ok, "Config.Scope is malformed")
	add(c.ClientID == "", "Config.ClientID is empty")
	add(c.ClientSecret.Empty(), "Config.ClientSecret is empty: an app with a server is a confidential client")
	add(c.Idle < 0 || c.Absolute < 0, "Config.Idle or Config.Absolute is negative")
	add(!localPath(c.Path) || strings.HasSuffix(c.Path, "/") || strings.ContainsAny(c.Path, "{}?#"), "Config.Path does not begin with a slash, or ends with one")
	add(!localPath(c.SignedOutPath), "Config.SignedOutPath is no path")
	problems = append(problems, c.checkIssuer(), c.checkPublicURL(), c.checkUpstreams(), c.checkKeys())
	if err := errors.Join(problems...); err != nil {
		return c, err
	}
	if len(c.Keys) == 0 {
		c.Keys = []client.Secret{client.NewSecret(rand.Text() + rand.Text())}
	}
	if c.Store == nil {
		c.Store = NewMemoryStore(0)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Upstreams, c.Claims = slices.Clone(c.Upstreams), slices.Clone(c.Claims)
	return c, nil
}

func (c *Config) checkIssuer() error {
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("bff: Config.Issuer is not a plain absolute URL")
	case u.Scheme == "http" && !c.InsecureHTTP && !loopback(u.Hostname()):
		return errors.New("bff: Config.Issuer must be https (http only to a loopback address, or with InsecureHTTP)")
	}
	return nil
}

func (c *Config) checkPublicURL() error {
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme+"://"+u.Host != c.PublicURL || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("bff: Config.PublicURL is not an origin such as https://app.example.com, without a slash at its end")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("bff: Config.PublicURL must be https (http only on a loopback address)")
	}
	return nil
}

func (c *Config) checkUpstreams() error {
	var problems []error
	seen := make(map[string]bool)
	for _, up := range c.Upstreams {
		if !localPath(up.Path) || !strings.HasSuffix(up.Path, "/") || up.Path == "/" || strings.ContainsAny(up.Path, "{}?#%") || hasDots(up.Path) {
			problems = append(problems, fmt.Errorf("bff: upstream path %q does not begin and end with a slash, with plain text between", up.Path))
		}
		if seen[up.Path] || strings.HasPrefix(up.Path, c.Path+"/") {
			problems = append(problems, fmt.Errorf("bff: upstream path %q is taken", up.Path))
		}
		seen[up.Path] = true
		u, err := url.Parse(up.URL)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
			problems = append(problems, fmt.Errorf("bff: the URL of upstream %q is not a plain absolute one", up.Path))
		}
	}
	return errors.Join(problems...)
}

func (c *Config) checkKeys() error {
	if len(c.Keys) == 0 {
		if c.Store != nil {
			return errors.New("bff: Config.Keys is empty: what a Store keeps is sealed with a key that is there after a restart, too")
		}
		return nil
	}
	_, err := newSealer(c.Keys)
	return err
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// localPath reports whether s, put behind our origin, is an address of ours, whoever reads it: browsers take a
// backslash for a slash, drop tabs and line ends, and read //host as another host.
func localPath(s string) bool {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == '\\' || s[i] >= 0x7f {
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil
}

// hasDots reports whether a path has a segment that means another place, or that some server might take for one.
func hasDots(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return strings.Contains(path, `\`)
}
