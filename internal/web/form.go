package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/jetonhq/jeton/internal/flow"
)

// maxForm is the longest form body that is read, in bytes.
const maxForm = 16 << 10

// bodyPatience is how long a form body may take to arrive.
const bodyPatience = 10 * time.Second

// readForm reads a posted form: the body alone, never the query.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, badForm(http.StatusBadRequest, "It was not sent as a form.")
	}
	// A body that trickles in must not hold a connection for long.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, badForm(http.StatusRequestEntityTooLarge, "It is longer than any form we accept.")
	}
	if err != nil {
		return nil, badForm(http.StatusBadRequest, "It did not arrive in full.")
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badForm(http.StatusBadRequest, "Part of it cannot be read.")
	}
	return values, nil
}

func badForm(status int, text string) error {
	return &flow.Problem{Status: status, Title: "We could not read what was sent", Text: text}
}
