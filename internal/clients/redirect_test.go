package clients_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
)

func TestAZ_2_RedirectIsByteEqual(t *testing.T) {
	c := authority.Client{RedirectURIs: []string{
		"https://app.example.com/cb", "https://app.example.com/cb?tenant=1", "https://app.example.com/~me", "https://app.example.com:8443/cb",
	}}
	for _, registered := range c.RedirectURIs {
		if !clients.MatchRedirect(c, registered) {
			t.Errorf("%s: refused", registered)
		}
	}
	for name, uri := range map[string]string{
		"empty":                 "",
		"slash added":           "https://app.example.com/cb/",
		"upper-case host":       "https://APP.example.com/cb",
		"upper-case scheme":     "HTTPS://app.example.com/cb",
		"upper-case path":       "https://app.example.com/CB",
		"query added":           "https://app.example.com/cb?a=b",
		"empty query added":     "https://app.example.com/cb?",
		"query removed":         "https://app.example.com/",
		"query changed":         "https://app.example.com/cb?tenant=2",
		"escaped tilde":         "https://app.example.com/%7Eme",
		"default port":          "https://app.example.com:443/cb",
		"another port":          "https://app.example.com:8444/cb",
		"fragment":              "https://app.example.com/cb#x",
		"user name":             "https://x@app.example.com/cb",
		"registered as user":    "https://app.example.com@evil.example/cb",
		"longer host":           "https://app.example.com.evil.example/cb",
		"prefix":                "https://app.example.com/c",
		"dot segment":           "https://app.example.com/x/../cb",
		"backslash":             "https://app.example.com\\cb",
		"space before":          " https://app.example.com/cb",
		"line end after":        "https://app.example.com/cb\n",
		"http":                  "http://app.example.com/cb",
		"scheme-relative":       "//app.example.com/cb",
		"two of them":           "https://app.example.com/cb https://app.example.com/cb",
		"trailing dot in host":  "https://app.example.com./cb",
		"unicode look-alike":    "https://app.exаmple.com/cb",
		"null byte":             "https://app.example.com/cb\x00",
		"encoded slash in path": "https://app.example.com%2Fcb",
	} {
		if clients.MatchRedirect(c, uri) {
			t.Errorf("%s: %q matches", name, uri)
		}
	}
}

func TestNAT_1_LoopbackPort(t *testing.T) {
	c := authority.Client{RedirectURIs: []string{
		"http://127.0.0.1/cb", "http://[::1]:4000/cb?x=1", "http://localhost:3000/cb", "https://127.0.0.1/tls", "http://127.0.0.1:9",
	}}
	native := c
	native.Native = true
	for uri, want := range map[string]struct{ plain, native bool }{
		"http://127.0.0.1/cb":             {true, true},
		"http://127.0.0.1:1/cb":           {true, true},
		"http://127.0.0.1:65535/cb":       {true, true},
		"http://[::1]/cb?x=1":             {true, true},
		"http://[::1]:51234/cb?x=1":       {true, true},
		"http://127.0.0.1":                {true, true},
		"http://127.0.0.1:10":             {true, true},
		"http://localhost:3000/cb":        {true, true},
		"http://localhost:3001/cb":        {false, true},
		"http://localhost/cb":             {false, true},
		"https://127.0.0.1/tls":           {true, true},
		"https://127.0.0.1:1/tls":         {},
		"https://127.0.0.1/cb":            {},
		"https://127.0.0.1:1/cb":          {},
		"http://127.0.0.2/cb":             {},
		"http://127.0.0.1.evil.example/":  {},
		"http://127.0.0.1@evil/":          {},
		"http://127.0.0.1@evil/cb":        {},
		"http://127.0.0.1:80@evil/cb":     {},
		"http://user@127.0.0.1/cb":        {},
		"http://127.0.0.1:0/cb":           {},
		"http://127.0.0.1:65536/cb":       {},
		"http://127.0.0.1:080/cb":         {},
		"http://127.0.0.1:/cb":            {},
		"http://127.0.0.1:+1/cb":          {},
		"http://127.0.0.1:1e3/cb":         {},
		"http://127.0.0.1:99999999999/cb": {},
		"http://127.0.0.1:1/CB":           {},
		"http://127.0.0.1:1/cb/":          {},
		"http://127.0.0.1:1/cb?":          {},
		"http://127.0.0.1:1/cb#x":         {},
		"http://127.0.0.1:1\\cb":          {},
		"http://[::1]:1/cb":               {},
		"http://[::1]:1/cb?x=2":           {},
		"http://[0:0:0:0:0:0:0:1]/cb?x=1": {},
		"http://[::ffff:127.0.0.1]/cb":    {},
		"http://127.1/cb":                 {},
		"http://2130706433/cb":            {},
		"HTTP://127.0.0.1:1/cb":           {},
		"http://LOCALHOST:1/cb":           {},
		"http://localhost.evil:1/cb":      {},
		"http://localhost:3000/CB":        {},
		"http://127.0.0.1:3000/cb\n":      {},
	} {
		if got := clients.MatchRedirect(c, uri); got != want.plain {
			t.Errorf("%s: %v, want %v", uri, got, want.plain)
		}
		if got := clients.MatchRedirect(native, uri); got != want.native {
			t.Errorf("%s, native: %v, want %v", uri, got, want.native)
		}
	}
}

// A match differs from a registered URI at most in the port of a loopback literal.
func FuzzMatchRedirect(f *testing.F) {
	registered := []string{"https://app.example.com/cb", "http://127.0.0.1/cb", "http://[::1]:4000/cb?x=1", "http://localhost:3000/cb", "com.example.app:/cb"}
	for _, uri := range registered {
		f.Add(uri, uri)
	}
	f.Add("http://127.0.0.1:4711/cb", "http://127.0.0.1:9/")
	f.Add("http://127.0.0.1@evil/", "http://127.0.0.1/")
	loopback := regexp.MustCompile(`(?s)^(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::[1-9][0-9]{0,4})?((?:[/?].*)?)$`)
	f.Fuzz(func(t *testing.T, uri, own string) {
		for _, native := range []bool{false, true} {
			c := authority.Client{Native: native, RedirectURIs: append([]string{own}, registered...)}
			if !clients.MatchRedirect(c, uri) {
				continue
			}
			found := false
			for _, r := range c.RedirectURIs {
				a, b := loopback.FindStringSubmatch(uri), loopback.FindStringSubmatch(r)
				samePort := uri == r
				otherPort := a != nil && b != nil && a[1] == b[1] && a[2] == b[2] && (native || !strings.HasSuffix(a[1], "localhost"))
				found = found || samePort || otherPort
			}
			if !found {
				t.Fatalf("%q matches %q", uri, c.RedirectURIs)
			}
		}
	})
}

func TestBCP_1_NAT_2_ValidateRedirect(t *testing.T) {
	for _, test := range []struct {
		uri                       string
		web, native, publicNative bool
	}{
		{"https://app.example.com/cb", true, true, true},
		{"https://app.example.com/cb?tenant=1", true, true, true},
		{"https://app.example.com", true, true, true},
		{"https://app.example.com:8443/cb", true, true, true},
		{"https://[2001:db8::1]/cb", true, true, true},
		// BCP-1: http for loopback and native only.
		{"http://127.0.0.1/cb", false, true, true},
		{"http://127.0.0.1:8080/cb", false, true, true},
		{"http://[::1]:8080/cb", false, true, true},
		{"http://localhost:8080/cb", false, true, true},
		{"http://app.example.com/cb", false, false, false},
		{"http://127.0.0.2/cb", false, false, false},
		{"http://127.0.0.1.evil.example/cb", false, false, false},
		{"http://127.0.0.1@evil/cb", false, false, false},
		{"http://192.168.1.1/cb", false, false, false},
		// NAT-2: private-use schemes.
		{"com.example.app:/cb", false, false, true},
		{"com.example.app:/", false, false, true},
		{"com.example.app://cb", false, false, false},
		{"com.example.app:cb", false, false, false},
		{"com.example.app:", false, false, false},
		{"myapp:/cb", false, false, false},
		{".app:/cb", false, false, false},
		{"com.:/cb", false, false, false},
		{"com..app:/cb", false, false, false},
		{"Com.Example.App:/cb", false, false, false},
		{"javascript:alert(1)", false, false, false},
		{"JavaScript:alert(1)", false, false, false},
		{"javascript://app.example.com/%0aalert(1)", false, false, false},
		{"data:text/html,x", false, false, false},
		{"file:///etc/passwd", false, false, false},
		{"vbscript:x", false, false, false},
		{"blob:https://app.example.com/x", false, false, false},
		{"about:blank", false, false, false},
		{"ftp://app.example.com/cb", false, false, false},
		// Everything else.
		{"", false, false, false},
		{"/cb", false, false, false},
		{"//app.example.com/cb", false, false, false},
		{"app.example.com/cb", false, false, false},
		{"https:///cb", false, false, false},
		{"https:cb", false, false, false},
		{"https://", false, false, false},
		{"HTTPS://app.example.com/cb", false, false, false},
		{"https://app.example.com/cb#x", false, false, false},
		{"https://app.example.com/cb#", false, false, false},
		{"https://user@app.example.com/cb", false, false, false},
		{"https://@app.example.com/cb", false, false, false},
		{"https://*.example.com/cb", false, false, false},
		{"https://app.example.com/*", false, false, false},
		{"https://app.example.com:0/cb", false, false, false},
		{"https://app.example.com:99999/cb", false, false, false},
		{"https://app.example.com:/cb", false, false, false},
		{"https://app.example.com/c b", false, false, false},
		{"https://app.example.com/cb\n", false, false, false},
		{"https://app.example.com/cb\x00", false, false, false},
		{"https://app.example.com\\@evil/cb", false, false, false},
		{"https://app.example.com/é", false, false, false},
		{"https://app.example.com/%zz", false, false, false},
		{"https://app.example.com/" + strings.Repeat("a", 2048), false, false, false},
	} {
		for _, kind := range []struct {
			name                 string
			native, public, want bool
		}{
			{"web", false, false, test.web},
			{"browser", false, true, test.web},
			{"native with a secret", true, false, test.native},
			{"native", true, true, test.publicNative},
		} {
			if err := clients.ValidateRedirect(test.uri, kind.native, kind.public); (err == nil) != kind.want {
				t.Errorf("%q for a %s client: %v, want accepted = %v", test.uri, kind.name, err, kind.want)
			}
		}
	}
}
