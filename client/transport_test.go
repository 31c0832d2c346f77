package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// numbered is a source whose tokens are at-1, at-2 ...
type numbered struct {
	n         atomic.Int64
	refreshes atomic.Int64
	err       error // of Token
	stuck     error // of Refresh
}

func (s *numbered) token() Token {
	return Token{AccessToken: NewSecret(fmt.Sprintf("at-%d", s.n.Load())), Type: "Bearer"}
}

func (s *numbered) Token(context.Context) (Token, error) { return s.token(), s.err }

func (s *numbered) Refresh(_ context.Context, used Token) (Token, error) {
	s.refreshes.Add(1)
	if s.stuck != nil {
		return Token{}, s.stuck
	}
	if used.same(s.token()) {
		s.n.Add(1)
	}
	return s.token(), nil
}

// tokenOnly is a source that cannot be told of a refusal.
type tokenOnly struct{ Source }

// seen is what an API was sent.
type seen struct{ authorization, body string }

// api refuses at-0 with the headers given, and tells what it was sent.
func api(t *testing.T, header http.Header) (*httptest.Server, *[]seen) {
	var log []seen
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		log = append(log, seen{r.Header.Get("Authorization"), string(content)})
		if r.Header.Get("Authorization") == "Bearer at-0" {
			for name, values := range header {
				w.Header()[name] = values
			}
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "refused")
			return
		}
		_, _ = io.WriteString(w, "welcome")
	}))
	t.Cleanup(server.Close)
	return server, &log
}

func TestTransport_RefreshesOnceForAReasonThatATokenCanMend(t *testing.T) {
	reason := func(code string) http.Header { return http.Header{"Jeton-Reason": {code}} }
	for name, c := range map[string]struct {
		header http.Header
		mended bool
	}{
		"expired":              {reason("expired"), true},
		"too_old":              {reason("too_old"), true},
		"refresh_needed":       {reason("refresh_needed"), true},
		"revoked":              {reason("revoked"), true},
		"session_ended":        {reason("session_ended"), true},
		"key_revoked":          {reason("key_revoked"), true},
		"unknown_token":        {reason("unknown_token"), true},
		"no_uses_left":         {reason("no_uses_left"), true},
		"wrong_audience":       {reason("wrong_audience"), false},
		"bad_signature":        {reason("bad_signature"), false},
		"issued_in_future":     {reason("issued_in_future"), false},
		"no reason":            {http.Header{}, false},
		"only a challenge":     {http.Header{"Www-Authenticate": {`Basic realm="x"`, `Bearer realm="a", error="invalid_token"`}}, true},
		"step-up":              {http.Header{"Www-Authenticate": {`Bearer error="insufficient_user_authentication"`}}, false},
		"reason and challenge": {http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}, "Jeton-Reason": {"wrong_issuer"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server, log := api(t, c.header)
			source := &numbered{}
			client := &http.Client{Transport: &Transport{Source: source, Origins: []string{server.URL}}}
			resp, err := client.Post(server.URL+"/x", "text/plain", strings.NewReader("a body"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			content, _ := io.ReadAll(resp.Body)
			want, status, text, refreshes := []seen{{"Bearer at-0", "a body"}}, 401, "refused", int64(0)
			if c.mended {
				want, status, text, refreshes = append(want, seen{"Bearer at-1", "a body"}), 200, "welcome", 1
			}
			if resp.StatusCode != status || string(content) != text || fmt.Sprint(*log) != fmt.Sprint(want) || source.refreshes.Load() != refreshes {
				t.Fatalf("got %d %s, API saw %v, %d refreshes", resp.StatusCode, content, *log, source.refreshes.Load())
			}
		})
	}
}

func TestTransport_SecondRefusalIsTheAnswer(t *testing.T) {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("Jeton-Reason", "revoked")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	source := &numbered{}
	resp, err := (&http.Client{Transport: &Transport{Source: source, Origins: []string{server.URL}}}).Get(server.URL)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || requests != 2 || source.refreshes.Load() != 1 {
		t.Fatalf("got %v, %v, %d requests, %d refreshes", resp, err, requests, source.refreshes.Load())
	}
}

func TestTransport_FirstRefusalIsTheAnswerWhenNothingCanBeMended(t *testing.T) {
	header := http.Header{"Jeton-Reason": {"expired"}}
	for name, c := range map[string]struct {
		source    Source
		body      io.Reader
		refreshes int64
	}{
		"the refresh fails":              {&numbered{stuck: ErrSignInAgain}, strings.NewReader("b"), 1},
		"the source cannot refresh":      {tokenOnly{&numbered{}}, strings.NewReader("b"), 0},
		"the body can be read once only": {&numbered{}, io.MultiReader(strings.NewReader("b")), 1},
	} {
		t.Run(name, func(t *testing.T) {
			server, log := api(t, header)
			req, err := http.NewRequest(http.MethodPost, server.URL, c.body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&Transport{Source: c.source, Origins: []string{server.URL}}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if content, _ := io.ReadAll(resp.Body); string(content) != "refused" || len(*log) != 1 {
				t.Fatalf("got %s, API saw %v", content, *log)
			}
			if s, ok := c.source.(*numbered); ok && s.refreshes.Load() != c.refreshes {
				t.Fatalf("%d refreshes, want %d", s.refreshes.Load(), c.refreshes)
			}
		})
	}
}

func TestTransport_RedirectToAnotherOriginLosesTheToken(t *testing.T) {
	other, log := api(t, nil)
	var home *httptest.Server
	var atHome []string
	home = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		atHome = append(atHome, r.URL.Path+" "+r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/x", http.StatusTemporaryRedirect)
		case "/here":
			http.Redirect(w, r, home.URL+"/there", http.StatusTemporaryRedirect)
		}
	}))
	defer home.Close()
	client := &http.Client{Transport: &Transport{Source: &numbered{}, Origins: []string{home.URL}}}
	for _, path := range []string{"/away", "/here"} {
		resp, err := client.Get(home.URL + path)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v, %v", path, resp, err)
		}
	}
	if got, want := fmt.Sprint(*log), fmt.Sprint([]seen{{}}); got != want {
		t.Errorf("the other origin saw %s", got)
	}
	if got, want := fmt.Sprint(atHome), "[/away Bearer at-0 /here Bearer at-0 /there Bearer at-0]"; got != want {
		t.Errorf("the origin saw %s, want %s", got, want)
	}
}

func TestTransport_Origins(t *testing.T) {
	for _, c := range []struct {
		origin, url string
		want        bool
	}{
		{"https://api.example.com", "https://api.example.com/a?b", true},
		{"https://api.example.com/", "https://API.example.com:443/", true},
		{"https://api.example.com:443", "https://api.example.com/", true},
		{"http://[::1]:8080", "http://[::1]:8080/", true},
		{"https://api.example.com", "http://api.example.com/", false},
		{"https://api.example.com", "http://api.example.com:443/", false},
		{"https://api.example.com", "https://api.example.com:8443/", false},
		{"https://api.example.com", "https://api.example.com.evil.example/", false},
		{"https://api.example.com", "https://evil.example/api.example.com", false},
		{"https://api.example.com", "https://api.example.com@evil.example/", false},
		{"https://api.example.com", "https://sub.api.example.com/", false},
	} {
		var sent string
		transport := &Transport{Source: &numbered{}, Origins: []string{"https://first.example.com", c.origin}, Base: roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = r.Header.Get("Authorization")
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})}
		req, err := http.NewRequest(http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.RoundTrip(req); err != nil || (sent != "") != c.want {
			t.Errorf("%s, %s: got %q, %v", c.origin, c.url, sent, err)
		}
		if req.Header.Get("Authorization") != "" {
			t.Error("the caller's request was changed")
		}
	}
}

func TestTransport_OwnAuthorizationIsLeftAlone(t *testing.T) {
	server, log := api(t, http.Header{"Jeton-Reason": {"expired"}})
	req, err := http.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer at-0") // which the API refuses
	source := &numbered{}
	resp, err := (&Transport{Source: source, Origins: []string{server.URL}}).RoundTrip(req)
	if err != nil || resp.StatusCode != 401 || len(*log) != 1 || source.refreshes.Load() != 0 {
		t.Fatalf("got %v, %v, API saw %v", resp, err, *log)
	}
}

// closing remembers that it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestTransport_ErrorsBeforeSendingCloseTheBody(t *testing.T) {
	for name, transport := range map[string]*Transport{
		"no source":         {Origins: []string{"https://api.example.com"}},
		"no origins":        {Source: &numbered{}},
		"no token":          {Source: &numbered{err: ErrSignInAgain}, Origins: []string{"https://api.example.com"}},
		"not an origin":     {Source: &numbered{}, Origins: []string{"api.example.com"}},
		"origin with path":  {Source: &numbered{}, Origins: []string{"https://api.example.com/v1"}},
		"good and bad ones": {Source: &numbered{}, Origins: []string{"https://api.example.com", "*"}},
	} {
		transport.Base = roundTrip(func(*http.Request) (*http.Response, error) {
			t.Errorf("%s: sent", name)
			return nil, errors.New("sent")
		})
		content := &closing{Reader: strings.NewReader("b")}
		req, err := http.NewRequest(http.MethodPost, "https://api.example.com/", content)
		if err != nil {
			t.Fatal(err)
		}
		_, err = transport.RoundTrip(req)
		if err == nil || !content.closed || name == "no token" && !errors.Is(err, ErrSignInAgain) {
			t.Errorf("%s: got %v, body closed: %v", name, err, content.closed)
		}
	}
}

func TestTransport_WithAKeeperFiftyRefusedRequestsAreOneRefresh(t *testing.T) {
	a := newAuthority(t)
	k := a.credentials(t, nil)
	mustToken(t, k)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer at-2" {
			w.Header().Set("Jeton-Reason", "refresh_needed")
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	client := &http.Client{Transport: &Transport{Source: k, Origins: []string{server.URL}}}
	together(50, func() {
		resp, err := client.Get(server.URL)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("got %v, %v", resp, err)
			return
		}
		resp.Body.Close()
	})
	wantCounts(t, a, counts{Requests: 2, Issued: 2})
}
