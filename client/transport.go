package client

import (
	"cmp"
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
//
// A token that is bound to a key ([Config.Key]) goes with a proof for each request. An API that wants its own nonce
// in the proof is given it: the request is sent once more, under the same proviso.
type Transport struct {
	// Source has the tokens. Without a [Refresher] nothing is sent twice.
	Source Source

	// Origins are the APIs that the token is for: scheme, host and port, for example
	// https://api.example.com. At least one is required. Plain http has to be spelled out.
	Origins []string

	// Base sends the requests; nil means http.DefaultTransport.
	Base http.RoundTripper

	nonces nonces // of the APIs
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
	resp, err := t.send(base, r, r.Body, token)
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
	body, ok := bodyAgain(r)
	if !ok {
		return resp, nil
	}
	drain(resp)
	return t.send(base, r, body, other)
}

// send sends the request with the token, and once more where only the nonce of its proof was missing.
func (t *Transport) send(base http.RoundTripper, r *http.Request, body io.ReadCloser, token Token) (*http.Response, error) {
	c, err := t.authorized(r, body, token)
	if err != nil {
		closeBody(r)
		return nil, fmt.Errorf("client: proof for a request: %w", err)
	}
	resp, err := base.RoundTrip(c)
	if err != nil || token.key == nil {
		return resp, err
	}
	t.nonces.keep(r.URL, resp.Header)
	if !wantsNonce(resp) {
		return resp, nil
	}
	if body, ok := bodyAgain(r); ok {
		if c, err := t.authorized(r, body, token); err == nil {
			drain(resp)
			return base.RoundTrip(c)
		}
	}
	return resp, nil
}

// authorized is a copy of r with the token: a RoundTripper must not change its request.
func (t *Transport) authorized(r *http.Request, body io.ReadCloser, token Token) (*http.Request, error) {
	c := r.Clone(r.Context())
	c.Body = body
	if c.Header == nil {
		c.Header = make(http.Header)
	}
	if token.key == nil {
		c.Header.Set("Authorization", oauth.Bearer+" "+token.AccessToken.Reveal())
		return c, nil
	}
	proof, err := token.Proof(cmp.Or(r.Method, http.MethodGet), r.URL.String(), t.nonces.of(r.URL))
	if err != nil {
		return nil, err
	}
	c.Header.Set("Authorization", oauth.DPoP+" "+token.AccessToken.Reveal())
	c.Header.Set(proofHeader, proof)
	return c, nil
}

// bodyAgain is the request's body from its beginning, if it can be had.
func bodyAgain(r *http.Request) (body io.ReadCloser, ok bool) {
	if r.Body == nil || r.Body == http.NoBody {
		return r.Body, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	body, err := r.GetBody()
	return body, err == nil
}

// drain frees the connection of an answer that nobody will read.
func drain(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxDrain))
	resp.Body.Close()
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
		return (c.Scheme == "bearer" || c.Scheme == "dpop") && oauth.Code(c.Params["error"]) == oauth.InvalidToken
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
