package server_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/oauth"
)

// admin is who changes things in these tests.
func admin() authority.Actor { return authority.Actor{Kind: "admin", ID: "test"} }

// visitor is a browser without a screen: it keeps cookies, follows redirects
// within the site, and fills in forms.
type visitor struct {
	*world
	http *http.Client
	page *page
}

type page struct {
	status   int
	url      *url.URL
	location string // where the answer goes on to, outside the site
	body     string
}

func (w *world) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	return &visitor{world: w, http: &http.Client{
		Jar: jar, Transport: w.http.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// open goes to an address and follows redirects while they stay within the site.
func (v *visitor) open(method, address, body string) *page {
	v.t.Helper()
	r := v.request(method, address, body)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for range 10 {
		response, err := v.http.Do(r)
		must(v.t, err)
		b, err := io.ReadAll(response.Body)
		must(v.t, err)
		must(v.t, response.Body.Close())
		v.page = &page{status: response.StatusCode, url: r.URL, body: string(b)}
		location := response.Header.Get("Location")
		if location == "" {
			return v.page
		}
		next, err := r.URL.Parse(location)
		must(v.t, err)
		if !strings.HasPrefix(next.String(), v.origin+"/") {
			v.page.location = next.String()
			return v.page
		}
		r = v.request(http.MethodGet, next.String(), "")
	}
	v.t.Fatal("redirects without end")
	return nil
}

var (
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	action = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
)

// submit posts the page's form as a browser would.
func (v *visitor) submit(pairs ...string) *page {
	v.t.Helper()
	unescape := strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#39;", "'", "&#43;", "+", "&lt;", "<", "&gt;", ">").Replace
	fields := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(v.page.body, -1) {
		fields.Set(unescape(m[1]), unescape(m[2]))
	}
	for i := 0; i < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
	}
	address := v.page.url
	if m := action.FindStringSubmatch(v.page.body); m != nil {
		var err error
		address, err = address.Parse(unescape(m[1]))
		must(v.t, err)
	}
	return v.open(http.MethodPost, address.String(), fields.Encode())
}

// signIn signs ada in, at the page the visitor is on or at the front door.
func (v *visitor) signIn() *page {
	v.t.Helper()
	if v.page == nil {
		v.open(http.MethodGet, "/signin", "")
	}
	p := v.submit("login", "ada", "password", password)
	v.remember("session cookie", v.cookie())
	return p
}

func (v *visitor) cookie() string {
	u, err := url.Parse(v.origin)
	must(v.t, err)
	for _, c := range v.http.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "jeton") {
			return c.Value
		}
	}
	return ""
}

// authorize is the address of a good request of the client, changed by pairs.
func (w *world) authorize(client string, pairs ...string) string {
	w.t.Helper()
	c, err := w.parts.Clients.Lookup(w.t.Context(), client)
	must(w.t, err)
	q := values("client_id", client, "redirect_uri", c.RedirectURIs[0], "response_type", "code", "scope", "openid read", "state", "s1",
		"code_challenge", oauth.Challenge(verifier), "code_challenge_method", "S256")
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return w.issuer + "/authorize?" + q.Encode()
}

// walk takes a request through the real pages, allows what is asked, and
// returns what the client is told.
func (v *visitor) walk(address string) url.Values {
	v.t.Helper()
	p := v.open(http.MethodGet, address, "")
	if strings.Contains(p.body, `name="password"`) {
		p = v.signIn()
	}
	if strings.Contains(p.body, `value="allow"`) {
		p = v.submit("answer", "allow")
	}
	u, err := url.Parse(p.location)
	if err != nil || p.location == "" {
		v.t.Fatalf("the pages end with %d at %s: %s", p.status, p.url.Path, p.body)
	}
	v.remember("code", u.Query().Get("code"))
	return u.Query()
}
