package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/secret"
)

// DefaultListen is where an agent listens unless it is told otherwise.
const DefaultListen = "127.0.0.1:8090"

// unixPrefix begins the address of a unix socket.
const unixPrefix = "unix:"

// minCallerSecret is the fewest characters of a secret that keeps strangers out.
const minCallerSecret = 32

// Config says whose tokens an agent checks, and for whom.
type Config struct {
	// Issuer is the authority, exactly as in the iss claim. Required.
	Issuer string

	// Audience is the API that the tokens must be for. Required.
	Audience string

	// PublicURL is what comes before the path of a request in the URL that callers
	// know. Default: the origin of Audience.
	PublicURL string

	// ClientID and ClientSecret are the resource's own client at the authority.
	// Required: without them an agent could not know what was revoked.
	ClientID     string
	ClientSecret secret.Value

	// Listen is host:port of a loopback address, or unix: and the path of a
	// socket. Default 127.0.0.1:8090.
	Listen string

	// InsecureListenAnywhere allows an address that others can reach. Tokens
	// then cross a network in the clear. It needs a CallerSecret.
	InsecureListenAnywhere bool

	// CallerSecret must be shown by callers of /introspect and /check. Default
	// none: whoever reaches loopback or the socket may ask.
	CallerSecret secret.Value

	// SharedKeysFile holds the secrets of the ring that signs the API's tokens, if
	// they are signed with HS256. It is followed: a new file needs no restart.
	SharedKeysFile string

	// TrustedProxies are networks of proxies, beside this machine's own, whose
	// X-Forwarded-For says where a request came from. Only tokens that are held to
	// their network need it.
	TrustedProxies []netip.Prefix

	// FailMode says what to do while the view is stale. The zero value asks the
	// authority.
	FailMode jeton.FailMode

	// MaxStaleness is how long the feed may be silent before the view is not
	// trusted. Default 2 s.
	MaxStaleness time.Duration
}

// validate reports every problem at once, in the words of the command's flags.
func (c Config) validate() error {
	var problems []error
	check := func(setting string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", setting, err))
		}
	}
	required := func(setting string, missing bool) {
		if missing {
			check(setting, errors.New("is required"))
		}
	}
	required("issuer", c.Issuer == "")
	required("audience", c.Audience == "")
	required("client-id", c.ClientID == "")
	required("client-secret-file", c.ClientSecret.Empty())
	check("listen", c.checkListen())
	if c.MaxStaleness < 0 {
		check("max-staleness", errors.New("is negative"))
	}
	if n := len(c.CallerSecret.Reveal()); n > 0 && n < minCallerSecret {
		check("caller-secret-file", fmt.Errorf("holds %d characters, want at least %d", n, minCallerSecret))
	}
	return errors.Join(problems...)
}

// checkListen keeps an agent that asks nobody who they are off the network.
func (c Config) checkListen() error {
	if path, ok := strings.CutPrefix(c.Listen, unixPrefix); ok {
		if path == "" {
			return errors.New("unix: is not followed by a path")
		}
		return nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return errors.New("is neither host:port nor unix:path")
	}
	if loopback(host) {
		return nil
	}
	if !c.InsecureListenAnywhere {
		return errors.New("is not a loopback address: others could read the tokens on their way here (--insecure-listen-anywhere allows it)")
	}
	if c.CallerSecret.Empty() {
		return errors.New("is not a loopback address, so callers need a secret: set --caller-secret-file")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// thisMachine is where the proxy is that asks an agent.
var thisMachine = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func (c Config) guard() jeton.Config {
	return jeton.Config{
		Issuer: c.Issuer, Audience: c.Audience, PublicURL: c.PublicURL, Client: jeton.ClientSecret(c.ClientID, c.ClientSecret.Reveal()),
		TrustedProxies: append(slices.Clone(c.TrustedProxies), thisMachine...), FailMode: c.FailMode, MaxStaleness: c.MaxStaleness,
	}
}
