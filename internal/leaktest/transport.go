package leaktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Transport watches a client: secrets in its requests and in the answers are
// collected, and every refusal (status 400 and above) is text that must hold
// none. A nil next is http.DefaultTransport.
func (w *Watch) Transport(where string, next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{w, where, next}
}

type transport struct {
	watch *Watch
	where string
	next  http.RoundTripper
}

// CloseIdleConnections passes on what http.Client asks of it.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.request(r)
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	return response, t.response(r, response)
}

// fields are the parameters, of forms, queries and JSON, whose values are
// secret.
var fields = []string{
	"access_token", "refresh_token", "id_token", "id_token_hint", "code", "code_verifier", "token",
	"password", "client_secret", "secret", "assertion", "client_assertion", "device_code",
}

// hidden is a field of a page that carries its value onwards, as the answers
// to response_mode=form_post do.
var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)

func (t *transport) request(r *http.Request) {
	if _, password, ok := r.BasicAuth(); ok {
		t.watch.Secret("client secret", password)
	}
	if _, credentials, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
		t.watch.Secret("credential", credentials)
	}
	for _, c := range r.Cookies() {
		t.watch.Secret("cookie", c.Value)
	}
	t.form(r.URL.Query())
	if r.GetBody == nil { // a stream, or nothing
		return
	}
	body, err := r.GetBody()
	if err != nil {
		return
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(body)
	if err != nil {
		return
	}
	if form, err := url.ParseQuery(string(text)); err == nil {
		t.form(form)
	}
	t.json(text)
}

func (t *transport) response(r *http.Request, response *http.Response) error {
	for _, c := range response.Cookies() {
		t.watch.Secret("cookie", c.Value)
	}
	if to, err := response.Location(); err == nil {
		t.form(to.Query())
	}
	if kind := response.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/event-stream") {
		return nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), response.Body}
	t.json(body)
	for _, m := range hidden.FindAllSubmatch(body, -1) {
		t.form(url.Values{string(m[1]): {html.UnescapeString(string(m[2]))}})
	}
	if response.StatusCode >= http.StatusBadRequest {
		header := response.Header.Clone()
		header.Del("Set-Cookie") // the place where a cookie belongs
		t.watch.Said(fmt.Sprintf("%s: %d to %s %s", t.where, response.StatusCode, r.Method, r.URL.Path), fmt.Sprint(header)+"\n"+string(body))
	}
	return nil
}

func (t *transport) form(values url.Values) {
	for _, name := range fields {
		for _, value := range values[name] {
			t.watch.Secret(name, value)
		}
	}
}

func (t *transport) json(body []byte) {
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return
	}
	for _, name := range fields {
		if value, ok := object[name].(string); ok {
			t.watch.Secret(name, value)
		}
	}
}
