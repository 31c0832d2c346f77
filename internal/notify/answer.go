package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// answer is what a receiver said, without its body.
type answer struct {
	status int
	header http.Header
}

// post sends one request. No error repeats the URL, which may hold a token of the
// receiver.
func post(ctx context.Context, client *http.Client, to string, header http.Header, body []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return answer{}, errors.New("its URL cannot be used")
	}
	request.Header = header
	request.Header.Set("User-Agent", "jeton")
	response, err := client.Do(request)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}
		return answer{}, err
	}
	defer response.Body.Close()
	// Read to its end, if that is near, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	return answer{response.StatusCode, response.Header}, nil
}

// refusal is nil for a receiver that took the message (2xx).
func (a answer) refusal() error {
	code := a.status
	if code >= 200 && code < 300 {
		return nil
	}
	err := fmt.Errorf("answered %d %s", code, http.StatusText(code))
	if code >= 300 && code < 400 {
		err = fmt.Errorf("answered %d, and redirects are not followed", code)
	}
	if seconds, e := strconv.ParseUint(a.header.Get("Retry-After"), 10, 31); e == nil {
		return RetryAfter(err, time.Duration(seconds)*time.Second) // #nosec G115 -- 31 bits
	}
	return err
}
