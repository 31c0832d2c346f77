package jeton

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/jetonhq/jeton/internal/seen"
	"github.com/jetonhq/jeton/jwt"
)

// ForRequest has [Guard.Check] decide as for this request, of which method and URL count: a token that is good
// for one URL is refused where the guard does not know the URL.
func ForRequest(r *http.Request) Demand { return Demand{kind: demandRequest, request: r} }

// bound is what a token may be used for, as far as it says. Most have none of it.
type bound struct {
	uses   int64  // 0: any number
	url    string // "": any
	hash   string // of the URL; "": any
	method string // "": any
	key    string // thumbprint of the key whose holder may present it; "": anybody may
}

func boundOf(c *jwt.Claims) *bound {
	if !c.Has("uses") && !c.Has("url") && !c.Has("url#S256") && !c.Has("method") && !c.Has("cnf") {
		return nil
	}
	return &bound{c.Uses, strings.Clone(c.URL), strings.Clone(c.URLHash), strings.Clone(c.Method), strings.Clone(c.Confirmation.KeyThumbprint)}
}

// senseless reports whether one of these claims is there and permits nothing, or nothing that a guard can check.
func senseless(c *jwt.Claims) bool {
	cnf := &c.Confirmation
	return c.Has("cnf") && (!jwt.ValidThumbprint(cnf.KeyThumbprint) || cnf.CertificateThumbprint != "" || cnf.Others) ||
		c.Has("uses") && c.Uses <= 0 ||
		c.Has("url") && c.URL == "" || c.Has("url#S256") && c.URLHash == "" || c.Has("method") && c.Method == ""
}

// demands holds a good token against what the route demands and against what the token carries. Counting a
// use comes last: what is refused for another reason burns none.
func (g *Guard) demands(ctx context.Context, e *seen.Entry[record], r *rule, now instant) *Refusal {
	b := e.Value.bound
	if r.scheme != bearerScheme || r.requireDPoP || b != nil && b.key != "" {
		if refusal := g.held(e, r, now); refusal != nil {
			return refusal
		}
	}
	if refusal := r.meets(&e.Value.Token, now); refusal != nil {
		return refusal
	}
	if r.fresh && g.stale.needs(e.Value.gid) > e.Value.version {
		return refuse(ReasonRefreshNeeded)
	}
	if r.network != 0 || e.Value.place.Load() != nil {
		if refusal := g.placed(ctx, e, r); refusal != nil {
			return refusal
		}
	}
	if b == nil {
		if r.uses != anyUses {
			return refuse(ReasonNotSingleUse)
		}
		return nil
	}
	if refusal := g.allows(b, r.request); refusal != nil {
		return refusal
	}
	if r.uses == countedUses && b.uses == 0 || r.uses == singleUse && b.uses != 1 {
		return refuse(ReasonNotSingleUse)
	}
	if b.uses == 0 {
		return nil
	}
	return g.countUse(ctx, e)
}

// allows compares the request with the URL and the method that the token is for.
func (g *Guard) allows(b *bound, r *http.Request) *Refusal {
	switch {
	case b.url == "" && b.hash == "" && b.method == "":
		return nil
	case (b.url != "" || b.hash != "") && g.config.PublicURL == "":
		return refuse(ReasonUnsupported)
	case r == nil,
		b.method != "" && b.method != r.Method,
		b.url != "" && !matchesURL(g.config.PublicURL, r.URL, b.url),
		b.hash != "" && !matchesHash(g.config.PublicURL, r.URL, b.hash):
		return refuse(ReasonWrongURL)
	}
	return nil
}

// matchesURL compares byte by byte: what is written in another way is another URL. A token that names no
// query is good for any.
func matchesURL(public string, asked *url.URL, want string) bool {
	rest, ok := strings.CutPrefix(want, public)
	if !ok {
		return false
	}
	path, query, named := strings.Cut(rest, "?")
	return path == pathOf(asked) && (!named || query == asked.RawQuery)
}

func matchesHash(public string, asked *url.URL, want string) bool {
	text := public + pathOf(asked)
	return urlHash(text) == want || urlHash(text+"?"+asked.RawQuery) == want
}

func pathOf(u *url.URL) string {
	if path := u.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

// urlHash is the claim url#S256 of a URL.
func urlHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// publicURL is the origin of an audience that is a URL.
func publicURL(audience string) string {
	u, err := url.Parse(audience)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
