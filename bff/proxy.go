package bff

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/oauth"
)

// maxReplay is the longest body that is kept, in bytes, so that a request can be sent again with another token.
const maxReplay = 64 << 10

// proxy passes requests on to one API: without the cookie, with the session's access token.
func (a *App) proxy(up Upstream) http.Handler {
	target, err := url.Parse(up.URL)
	if err != nil { // was checked
		return http.NotFoundHandler()
	}
	base := a.config.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(p *httputil.ProxyRequest) { a.rewrite(p, up, target) },
		ModifyResponse: clean,
		ErrorHandler:   a.upstreamFailed,
		ErrorLog:       slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	proxy.Transport = &sessionTransport{origin: target.Scheme + "://" + target.Host, base: base}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if crossOrigin.Check(asUnsafe(r)) != nil {
			refuse(w, jeton.ReasonCrossOrigin)
			return
		}
		key, err := a.key(r)
		var held *session
		if err == nil {
			held, err = a.token(r.Context(), key, "")
		}
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		if hasDots(r.URL.Path) || !strings.HasPrefix(r.URL.EscapedPath(), up.Path) {
			http.NotFound(w, r)
			return
		}
		if err := keepBody(r); err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sourceKey{}, source{a, key, held})))
	})
}

// asUnsafe has the opening of a WebSocket, which is a GET that no CORS rule keeps from other origins, checked like a
// change.
func asUnsafe(r *http.Request) *http.Request {
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return r
	}
	return &http.Request{Method: http.MethodPost, URL: r.URL, Host: r.Host, Header: r.Header}
}

// refuse says why there is no token. It leaves the cookie alone: the session may be there again in a moment, or the
// browser may have a newer one already.
func (a *App) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, jeton.ErrNoCookie), errors.Is(err, jeton.ErrNoSession):
		refuse(w, jeton.ReasonNoSession)
	case r.Context().Err() != nil: // nobody reads it
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		refuse(w, jeton.ReasonSessionUnavailable)
	}
}

// rewrite makes the upstream's request. Headers by which a browser could speak for somebody else go; X-Forwarded-*
// and Forwarded are gone already, and are set anew.
func (a *App) rewrite(p *httputil.ProxyRequest, up Upstream, target *url.URL) {
	out := p.Out
	out.URL.Path = strings.TrimPrefix(out.URL.Path, strings.TrimSuffix(up.Path, "/"))
	out.URL.RawPath = strings.TrimPrefix(out.URL.RawPath, strings.TrimSuffix(up.Path, "/"))
	p.SetURL(target)
	p.SetXForwarded()
	if public, err := url.Parse(a.config.PublicURL); err == nil {
		out.Header.Set("X-Forwarded-Host", public.Host)
		out.Header.Set("X-Forwarded-Proto", public.Scheme)
	}
	for _, name := range []string{"Cookie", "Authorization", "Proxy-Authorization", "DPoP"} {
		out.Header.Del(name)
	}
}

// clean takes from an answer what is not for this origin to pass on: cookies, which would be ours, and permissions to
// read for other origins, which the upstream gives to holders of tokens and not of cookies. And it keeps shared
// caches from storing it: they would not see that a token was part of the question.
func clean(resp *http.Response) error {
	h := resp.Header
	h.Del("Set-Cookie")
	h.Del("Clear-Site-Data")
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			delete(h, name)
		}
	}
	h.Set("Cache-Control", private(h.Values("Cache-Control")))
	h.Add("Vary", "Cookie")
	return nil
}

// private is a Cache-Control without what allows shared caches to store.
func private(values []string) string {
	kept := []string{"private"}
	for _, value := range values {
		for directive := range strings.SplitSeq(value, ",") {
			directive = strings.TrimSpace(directive)
			name, _, _ := strings.Cut(strings.ToLower(directive), "=")
			if name != "" && name != "public" && name != "s-maxage" && name != "private" {
				kept = append(kept, directive)
			}
		}
	}
	if len(kept) == 1 && len(values) == 0 {
		kept = append(kept, "no-store")
	}
	return strings.Join(kept, ", ")
}

func (a *App) upstreamFailed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		a.log.WarnContext(r.Context(), "an upstream does not answer", "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "the API behind this server does not answer", http.StatusBadGateway)
}

// keepBody keeps a short body, so that the request can be sent again.
func keepBody(r *http.Request) error {
	if r.Body == nil || r.ContentLength <= 0 || r.ContentLength > maxReplay {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, err = r.GetBody()
	return err
}

type sourceKey struct{}

// sessionTransport sends a request with the token of its session, and once more with another one if that was
// refused for a reason that another one mends.
type sessionTransport struct {
	origin string
	base   http.RoundTripper
}

func (t *sessionTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	s, ok := r.Context().Value(sourceKey{}).(source)
	if !ok {
		return nil, errors.New("bff: a request without a session")
	}
	with := client.Transport{Source: s, Origins: []string{t.origin}, Base: t.base}
	return with.RoundTrip(r)
}

// source hands out the tokens of one session to one request.
type source struct {
	app  *App
	key  Digest
	held *session
}

func (s source) Token(context.Context) (client.Token, error) { return tokenOf(s.held), nil }

func (s source) Refresh(ctx context.Context, used client.Token) (client.Token, error) {
	other, err := s.app.token(ctx, s.key, used.AccessToken.Reveal())
	if err != nil {
		return client.Token{}, err
	}
	return tokenOf(other), nil
}

func tokenOf(s *session) client.Token {
	return client.Token{AccessToken: s.access, Type: oauth.Bearer, Expiry: s.expiry}
}
