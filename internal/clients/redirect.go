package clients

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jetonhq/jeton/internal/authority"
)

// MatchRedirect reports whether uri is one of the client's redirect URIs. They
// are compared byte by byte, without any normalisation (OAuth 2.1 section
// 2.3.1). The one exception is the port of a loopback http URI, which a native
// app cannot choose in advance (RFC 8252 section 7.3): 127.0.0.1, [::1], and
// localhost for clients registered as native.
func MatchRedirect(c authority.Client, uri string) bool {
	if slices.Contains(c.RedirectURIs, uri) {
		return true
	}
	host, rest, ok := cutLoopback(uri)
	if !ok || host == "localhost" && !c.Native {
		return false
	}
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		h, r, ok := cutLoopback(registered)
		return ok && h == host && r == rest
	})
}

// cutLoopback splits a loopback http URI into its host and what follows the
// port. It works on the bytes as they are: whatever a URL parser would make of
// something else does not matter here.
func cutLoopback(uri string) (host, rest string, ok bool) {
	after, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", "", false
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost"} {
		rest, ok := strings.CutPrefix(after, host)
		if !ok {
			continue
		}
		if port, found := strings.CutPrefix(rest, ":"); found {
			digits := len(port) - len(strings.TrimLeft(port, "0123456789"))
			n, err := strconv.Atoi(port[:digits])
			if err != nil || n < 1 || n > 65535 || port[0] == '0' {
				return "", "", false
			}
			rest = port[digits:]
		}
		// Anything else here makes it another host, or a user name: http://127.0.0.1@evil/.
		if rest != "" && rest[0] != '/' && rest[0] != '?' {
			return "", "", false
		}
		return host, rest, true
	}
	return "", "", false
}

const maxRedirect = 2048 // bytes

// checkLogoutURI checks where a client wants to be told of sessions that ended
// (OpenID Connect Back-Channel Logout section 2.2): https, or http on a loopback
// address, without fragment and user name. Whether the address may be private
// is decided when it is used.
func checkLogoutURI(uri string) error {
	if uri == "" {
		return nil
	}
	if len(uri) > maxRedirect {
		return fmt.Errorf("it is longer than %d bytes", maxRedirect)
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("it is not an https URI")
	case strings.Contains(uri, "#"):
		return errors.New("it has a fragment")
	case u.User != nil:
		return errors.New("it has a user name")
	}
	if _, _, local := cutLoopback(uri); u.Scheme == "http" && !local {
		return errors.New("it is http on a host that is not loopback")
	}
	return nil
}

// neverSchemes run or read something in the browser. None has a dot, so the
// rule for private-use schemes refuses them too; this one does not depend on it.
var neverSchemes = []string{"javascript", "data", "file", "vbscript", "blob", "about"}

// ValidateRedirect checks a redirect URI before it is registered. It must be
// absolute, without fragment, user name or control characters, and
//
//   - https, or
//   - http on 127.0.0.1, [::1] or localhost, for native apps (RFC 9700 section
//     4.1.3: no other http), or
//   - of a private-use scheme in reverse domain notation, com.example.app:/path,
//     for public native apps (RFC 8252 section 7.1).
func ValidateRedirect(uri string, native, public bool) error {
	if uri == "" || len(uri) > maxRedirect {
		return fmt.Errorf("it is empty or longer than %d bytes", maxRedirect)
	}
	for i := range len(uri) {
		if c := uri[i]; c <= 0x20 || c >= 0x7f || strings.IndexByte("\\\"<>^`{|}*", c) >= 0 {
			return errors.New("it has a character that a URI must not have, or a wildcard")
		}
	}
	if strings.Contains(uri, "#") {
		return errors.New("it has a fragment")
	}
	u, err := url.Parse(uri)
	if err != nil { // the error would repeat the URI
		return errors.New("it is not a URI")
	}
	scheme, _, _ := strings.Cut(uri, ":")
	switch {
	case u.Scheme == "":
		return errors.New("it is not absolute")
	case slices.Contains(neverSchemes, u.Scheme):
		return errors.New("its scheme is never allowed")
	case scheme != u.Scheme:
		return errors.New("its scheme is not in lower case")
	case u.User != nil:
		return errors.New("it has a user name")
	case u.Scheme == "https":
		return validateHost(u)
	case u.Scheme == "http":
		return validateLoopback(uri, native)
	}
	return validatePrivate(uri, u, native, public)
}

func validateHost(u *url.URL) error {
	if u.Opaque != "" || u.Hostname() == "" {
		return errors.New("it has no host")
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return errors.New("its port is not one")
		}
	}
	return nil
}

func validateLoopback(uri string, native bool) error {
	if _, _, ok := cutLoopback(uri); !ok {
		return errors.New("it is http, and not on 127.0.0.1, [::1] or localhost: use https")
	}
	if !native {
		return errors.New("it is http: only clients registered as native may use it, on a loopback address")
	}
	return nil
}

func validatePrivate(uri string, u *url.URL, native, public bool) error {
	labels := strings.Split(u.Scheme, ".")
	switch {
	case len(labels) < 2 || slices.Contains(labels, ""):
		return errors.New("its scheme is not https, nor a reverse domain name such as com.example.app")
	case !native || !public:
		return errors.New("it has a private-use scheme: only public clients registered as native may use one")
	}
	if rest := uri[len(u.Scheme)+1:]; !strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, "//") {
		return errors.New("after a private-use scheme comes a path with one slash: com.example.app:/path")
	}
	return nil
}
