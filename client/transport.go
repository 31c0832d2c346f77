package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/jetonhq/jeton/oauth"
)

// maxDrain bounds what is read of a refused answer so that its connection can be used again.
const maxDrain = 64 << 10 // bytes

// Transport is an http.RoundTripper that adds the source's token to requests. Its fields must not change once
// it is in use.
//
// When an API answers 401 and the reason is one that another token can mend, the token is refreshed once and
// the request is sent once more, provided that its body can be had again (http.Request.GetBody, which
// http.NewRequest sets for the usual readers). The second answer is returned, whatever it is; so is the first
// when no other token could be had.
//
// The token goes to the listed origins only. A request to another origin, for example after a redirect,
// passes without it, and a request that brings its own Authorization header passes as it is.
type Transport struct {
	// Source has the tokens. Without a [Refresher] nothing is sent twice.
	Source Source

	// Origins are the APIs that the token is for: scheme, host and port, for example
	// https://api.example.com. At least one is required. Plain http has to be spelled out.
	Origins []string

	// Base sends the requests; nil means http.DefaultTransport.
	Base http.RoundTripper
}

// RoundTrip implements http.RoundTripper. Its errors are those of the source, wrapped, and of Base.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	ours, err := t.allows(r.URL)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	if !ours || r.Header.Get("Authorization") != "" {
		return base.RoundTrip(r)
	}
	token, err := t.Source.Token(r.Context())
	if err != nil {
		closeBody(r)
		return nil, fmt.Errorf("client: token for a request: %w", err)
	}
	resp, err := base.RoundTrip(authorized(r, token))
	if err != nil || !mendable(resp) {
		return resp, err
	}
	source, ok := t.Source.(Refresher)
	if !ok {
		return resp, nil
	}
	// Also when the request cannot be sent again: the next one then has the new token.
	other, err := source.Refresh(r.Context(), token)
	if err != nil || other.same(token) {
		return resp, nil // the refusal says more than our failure to mend it
	}
	again := authorized(r, other)
	if r.Body != nil && r.Body != http.NoBody {
		if r.GetBody == nil {
			return resp, nil
		}
		if again.Body, err = r.GetBody(); err != nil {
			return resp, nil
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxDrain))
	resp.Body.Close()
	return base.RoundTrip(again)
}

// authorized is a copy of r with the token: a RoundTripper must not change its request.
func authorized(r *http.Request, t Token) *http.Request {
	c := r.Clone(r.Context())
	if c.Header == nil {
		c.Header = make(http.Header)
	}
	c.Header.Set("Authorization", oauth.Bearer+" "+t.AccessToken.Reveal())
	return c
}

// mendable reports whether another token may be accepted where this one was not: the table of reasons says so.
// An API that gives no reason is taken at its challenge (RFC 6750 section 3.1).
func mendable(resp *http.Response) bool {
	if resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	if reason := resp.Header.Get("Jeton-Reason"); reason != "" {
		return oauth.TokenHelps(reason)
	}
	return slices.ContainsFunc(oauth.ParseChallenges(resp.Header.Values("WWW-Authenticate")), func(c oauth.AuthChallenge) bool {
		return c.Scheme == "bearer" && oauth.Code(c.Params["error"]) == oauth.InvalidToken
	})
}

// allows reports whether the token may be sent to u.
func (t *Transport) allows(u *url.URL) (bool, error) {
	switch {
	case t.Source == nil:
		return false, errors.New("client: Transport has no Source")
	case len(t.Origins) == 0:
		return false, errors.New("client: Transport has no Origins: it must be said which APIs the token is for")
	}
	target := origin(u)
	allowed := false
	for _, text := range t.Origins {
		o, err := url.Parse(text)
		if err != nil || o.Scheme != "https" && o.Scheme != "http" || o.Hostname() == "" || o.User != nil ||
			strings.TrimSuffix(o.Path, "/") != "" || o.RawQuery != "" || o.Fragment != "" {
			return false, fmt.Errorf("client: Transport: %q is not an origin such as https://api.example.com", text)
		}
		allowed = allowed || origin(o) == target
	}
	return allowed, nil
}

// origin is scheme, host and port of u, with the port written out (RFC 6454 section 4).
func origin(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	return scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}
