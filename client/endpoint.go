package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/oauth"
)

const (
	attemptTimeout = 10 * time.Second
	maxAnswer      = 1 << 20 // bytes
	maxRetryAfter  = 5 * time.Minute
	longestLife    = 366 * 24 * time.Hour // of an access token; more is taken as this
)

// endpoint is the token endpoint, as one client sees it.
type endpoint struct {
	url    string
	id     string
	secret Secret
	key    *jwk.Key // nil: bearer tokens
	http   *http.Client
	now    func() time.Time
	nonces nonces
}

// with is the endpoint for tokens that are bound to this key.
func (e *endpoint) with(key *jwk.Key) *asking { return &asking{e, key} }

// asking is the endpoint, asked with one key or none.
type asking struct {
	*endpoint
	key *jwk.Key
}

// answer is a successful answer of the token endpoint.
type answer struct {
	token   Token
	refresh Secret // empty when none came
	id      Secret // the ID token, likewise
}

// endpointError is a failure that came as an HTTP answer.
type endpointError struct {
	status     int
	err        error         // *oauth.Error when the body was one
	retryAfter time.Duration // 0 when the answer does not say
}

func (e *endpointError) Error() string {
	if e.err != nil {
		return fmt.Sprintf("the authority answered %d: %v", e.status, e.err)
	}
	return fmt.Sprintf("the authority answered %d", e.status)
}

func (e *endpointError) Unwrap() error { return e.err }

// lostError means that the request may have been carried out and its answer is gone.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// ask makes a token request. A lost answer is asked for once more: the authority answers the predecessor of
// the current refresh token with the same successor, and client credentials with another token.
func (e *asking) ask(ctx context.Context, form url.Values) (answer, error) {
	a, err := e.attempt(ctx, form)
	if _, lost := errors.AsType[*lostError](err); lost && ctx.Err() == nil {
		a, err = e.attempt(ctx, form)
	}
	return a, err
}

func (e *asking) attempt(ctx context.Context, form url.Values) (answer, error) {
	asked := e.now()
	got, err := e.post(ctx, form)
	if err != nil {
		return answer{}, err
	}
	if got.status == http.StatusBadRequest && e.key != nil && got.header.Get(nonceHeader) != "" {
		// RFC 9449 section 8. Nothing was consumed, and the nonce is known now.
		if oauth.CodeOf(e.failure(got, form)) == oauth.UseDPoPNonce {
			if got, err = e.post(ctx, form); err != nil {
				return answer{}, err
			}
		}
	}
	if got.status != http.StatusOK {
		return answer{}, e.failure(got, form)
	}
	return parse(got.content, asked, e.key)
}

// reply is an HTTP answer whose body has been read.
type reply struct {
	status  int
	header  http.Header
	content []byte
}

// post sends a form with the client's credentials.
func (e *asking) post(ctx context.Context, form url.Values) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	body := form.Encode()
	if e.secret.Empty() {
		body += "&client_id=" + url.QueryEscape(e.id)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if !e.secret.Empty() {
		// RFC 6749 section 2.3.1: both halves are form-encoded before they are joined.
		req.SetBasicAuth(url.QueryEscape(e.id), url.QueryEscape(e.secret.Reveal()))
	}
	if e.key != nil {
		if err := e.nonces.prove(req, e.key, e.now()); err != nil {
			return reply{}, fmt.Errorf("make a DPoP proof: %w", err)
		}
	}
	resp, err := e.http.Do(req)
	if err != nil {
		if neverSent(err) {
			return reply{}, err
		}
		return reply{}, &lostError{err}
	}
	defer resp.Body.Close()
	e.nonces.keep(req.URL, resp.Header)
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return reply{}, &lostError{fmt.Errorf("read answer: %w", err)}
	}
	return reply{resp.StatusCode, resp.Header, content}, nil
}

// neverSent reports whether the request cannot have reached the authority. When in doubt it was sent.
func neverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	return badCertificate
}

// failure is the error of an answer other than 200.
func (e *endpoint) failure(got reply, form url.Values) error {
	failed := &endpointError{status: got.status, retryAfter: e.retryAfter(got.header.Get("Retry-After"))}
	var body oauth.ErrorResponse
	if json.Unmarshal(got.content, &body) == nil && body.Error != "" && got.status >= 400 {
		refusal := &oauth.Error{Code: oauth.Code(excerpt(string(body.Error))), Description: excerpt(body.Description), Reason: reasonOf(got.header, body)}
		for _, secret := range []string{e.secret.Reveal(), form.Get("refresh_token"), form.Get("code"), form.Get("code_verifier"), form.Get("token")} {
			// Whoever echoes a secret does not get it into our logs.
			if secret != "" && strings.Contains(body.Description, secret) {
				refusal.Description = ""
			}
			if secret != "" && strings.Contains(string(body.Error), secret) {
				refusal.Code = oauth.ServerError
			}
		}
		failed.err = refusal
		return failed
	}
	if got.status == http.StatusBadGateway || got.status == http.StatusGatewayTimeout {
		return &lostError{failed} // by a proxy on the way
	}
	return failed
}

// reasonOf is the stable code in an answer, if it is one.
func reasonOf(header http.Header, body oauth.ErrorResponse) string {
	code := cmp.Or(body.Reason, header.Get("Jeton-Reason"))
	if len(code) > 64 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return ""
	}
	return code
}

func (e *endpoint) retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(e.now()), 0), maxRetryAfter)
	}
	return 0
}

// parse reads a success (OAuth 2.1 section 3.2.3), to a request with this key or none.
func parse(content []byte, asked time.Time, key *jwk.Key) (answer, error) {
	want := oauth.Bearer
	if key != nil {
		want = oauth.DPoP
	}
	var body oauth.TokenResponse
	if json.Unmarshal(content, &body) != nil {
		return answer{}, errors.New("the authority's answer is no token response") // a JSON error may quote it
	}
	switch {
	case !sendable(body.AccessToken):
		return answer{}, errors.New("the authority's answer has no usable access_token")
	case !strings.EqualFold(body.TokenType, want):
		return answer{}, fmt.Errorf("the authority's answer has another token_type than %s", want)
	case body.ExpiresIn <= 0:
		return answer{}, errors.New("the authority's answer does not say when the token expires")
	}
	// Without the monotonic reading: that clock may stand still while a machine sleeps, the token's does not.
	// Counted from before the request, so that the way back makes the token older and not younger.
	asked = asked.Round(0)
	life := time.Duration(min(body.ExpiresIn, int64(longestLife/time.Second))) * time.Second
	return answer{
		token: Token{
			AccessToken: NewSecret(body.AccessToken), Type: want,
			Expiry: asked.Add(life), Scope: body.Scope, obtained: asked, key: key,
		},
		refresh: NewSecret(body.RefreshToken),
		id:      NewSecret(body.IDToken),
	}, nil
}

// sendable reports whether s can stand in an Authorization header (token68, RFC 9110 section 11.2).
func sendable(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && !strings.ContainsRune("-._~+/=", rune(c)) {
			return false
		}
	}
	return s != ""
}

// excerpt makes a foreign text fit for an error message.
func excerpt(s string) string { return oauth.Printable(s[:min(len(s), 200)]) }
