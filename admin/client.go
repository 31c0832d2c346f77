package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ReasonHeader carries why a change is made, in UTF-8.
const ReasonHeader = "Jeton-Change-Reason"

// maxAnswer bounds what the client reads of an answer. A full page is far
// smaller.
const maxAnswer = 16 << 20

// Client calls the admin API of one server. It is safe for concurrent use as
// long as its fields do not change.
type Client struct {
	BaseURL string       // of the management listener, for example http://127.0.0.1:8082
	Token   string       // the admin token
	HTTP    *http.Client // nil means a client of its own that follows no redirect
}

// Page asks for a part of a list.
type Page struct {
	After string // the Next of the page before; "" for the first
	Limit int    // rows; 0 means 100, at most 1000
}

// List is one page.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // "" on the last page
}

// All walks every page of a list, where list is a method such as
// [Client.Clients]. It ends after the first error.
func All[T any](ctx context.Context, list func(context.Context, Page) (List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var page Page
		for {
			part, err := list(ctx, page)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range part.Items {
				if !yield(item, nil) {
					return
				}
			}
			if part.Next == "" {
				return
			}
			page.After = part.Next
		}
	}
}

// request is one call. Body and into are JSON; nil means none.
type request struct {
	method string
	path   []string // below /admin/v1, unescaped
	query  url.Values
	reason string
	body   any
	into   any
}

// noRedirects: the admin token goes to the server it was made for and to no other.
var noRedirects = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (c *Client) do(ctx context.Context, r request) error {
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if r.into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, r.into); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

// send makes the call and returns an answer that is no refusal. The caller closes
// its body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	target, err := c.url(r.path, r.query)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.reason != "" {
		req.Header.Set(ReasonHeader, r.reason)
	}
	client := c.HTTP
	if client == nil {
		client = noRedirects
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return resp, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return nil, refusal(resp.StatusCode, answer)
}

func (c *Client) url(path []string, query url.Values) (string, error) {
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return "", errors.New("the admin API's address is not an http or https URL")
	}
	var b strings.Builder
	b.WriteString(base.Scheme + "://" + base.Host + strings.TrimSuffix(base.EscapedPath(), "/") + "/admin/v1")
	for _, segment := range path {
		b.WriteString("/" + url.PathEscape(segment))
	}
	if len(query) > 0 {
		b.WriteString("?" + query.Encode())
	}
	return b.String(), nil
}

func refusal(status int, answer []byte) error {
	var body ErrorBody
	if json.Unmarshal(answer, &body) != nil || body.Code == "" {
		return &Error{Status: status}
	}
	return &Error{Status: status, Code: body.Code, Message: body.Message}
}

// query is the page and what narrows the list, without what is empty.
func (p Page) query(narrow map[string]string) url.Values {
	query := make(url.Values)
	for name, value := range narrow {
		if value != "" {
			query.Set(name, value)
		}
	}
	if p.After != "" {
		query.Set("after", p.After)
	}
	if p.Limit != 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	return query
}
