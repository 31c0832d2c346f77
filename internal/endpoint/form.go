package endpoint

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jetonhq/jeton/oauth"
)

// maxForm bounds the body of a form endpoint, in bytes.
const maxForm = 64 << 10

// bodyPatience is how long a form body may take to arrive.
const bodyPatience = 10 * time.Second

// errTooLarge is a body beyond its limit.
var errTooLarge = errors.New("request body is too large")

// readForm decodes the body of a form endpoint and nothing else: parameters in
// the URL are never looked at (GEN-5).
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, oauth.Refuse(oauth.InvalidRequest, "the body must be application/x-www-form-urlencoded")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "UTF-8") {
		return nil, oauth.Refuse(oauth.InvalidRequest, "the charset must be UTF-8")
	}
	// A body that trickles in must not hold a connection for long. Servers that
	// cannot set a deadline have one of their own.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, oauth.RefuseCause(oauth.InvalidRequest, "the body could not be read", err)
	}
	return parseForm(string(body))
}

// parseForm applies GEN-2 (a parameter sent empty is absent) and GEN-3 (a
// repeated one is an error, even when one of the two is empty).
func parseForm(body string) (url.Values, error) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, oauth.RefuseCause(oauth.InvalidRequest, "the form is malformed", err)
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, oauth.Refuse(oauth.InvalidRequest, "a parameter is repeated")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return nil, oauth.Refuse(oauth.InvalidRequest, "the form is not UTF-8")
		}
		if values[0] == "" {
			delete(form, name)
		}
	}
	return form, nil
}
