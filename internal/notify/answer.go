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

// post sends one request and returns the answer, whose body is gone. No error
// repeats the URL, which may hold a token of the receiver.
func post(ctx context.Context, client *http.Client, to string, header http.Header, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("its URL cannot be used")
	}
	request.Header = header
	request.Header.Set("User-Agent", "jeton")
	answer, err := client.Do(request)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}
		return nil, err
	}
	defer answer.Body.Close()
	// Read to its end, if that is near, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	return answer, nil
}

// answered is nil for a receiver that took the message (2xx).
func answered(answer *http.Response) error {
	code := answer.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	err := fmt.Errorf("answered %d %s", code, http.StatusText(code))
	if code >= 300 && code < 400 {
		err = fmt.Errorf("answered %d, and redirects are not followed", code)
	}
	if seconds, e := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 31); e == nil {
		return RetryAfter(err, time.Duration(seconds)*time.Second) // #nosec G115 -- 31 bits
	}
	return err
}
