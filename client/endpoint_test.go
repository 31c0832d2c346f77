package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/oauth"
)

func TestTOK_6_BasicHalvesAreFormEncoded_V_12(t *testing.T) {
	for _, c := range []struct{ id, secret, want string }{
		{"s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", "czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"},
		{"https://app.example.com/c", "p+a/s s:w%é", "aHR0cHMlM0ElMkYlMkZhcHAuZXhhbXBsZS5jb20lMkZjOnAlMkJhJTJGcytzJTNBdyUyNSVDMyVBOQ=="},
	} {
		a := newAuthority(t)
		k := a.credentials(t, func(config *Config) { config.ID, config.Secret = c.id, NewSecret(c.secret) })
		_, _ = k.Token(t.Context()) // refused: the client there is another
		if got, want := a.authHeader, "Basic "+c.want; got != want {
			t.Errorf("%s: got %s, want %s", c.id, got, want)
		}
	}
}

func TestTOK_3_PublicClientSendsItsIDInTheForm(t *testing.T) {
	a := newAuthority(t)
	wantToken(t, a.refresher(t, NewMemoryStore(SignIn{RefreshToken: a.currentRefresh()})), "at-1")
	if a.authHeader != "" {
		t.Fatalf("Authorization: %s", a.authHeader)
	}
}

func TestREF_6_LostAnswerIsAskedForOnce(t *testing.T) {
	abort := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	for _, c := range []struct {
		name  string
		stage string
		lose  func(http.ResponseWriter)
	}{
		{"reset before it was decided", "received", abort},
		{"reset after the rotation", "decided", abort},
		{"reset within the body", "decided", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "400")
			_, _ = io.WriteString(w, `{"access_token":"at-`)
		}},
		{"silence", "decided", func(http.ResponseWriter) { time.Sleep(time.Minute) }},
		{"a proxy that lost it", "decided", func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }},
		{"a proxy that gave up", "decided", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusGatewayTimeout)
			_, _ = io.WriteString(w, "<html>")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority(t)
				var losses atomic.Int64
				losses.Store(1)
				a.at = func(stage string, w http.ResponseWriter, _ *http.Request) bool {
					if stage != c.stage || losses.Add(-1) < 0 {
						return false
					}
					c.lose(w)
					return true
				}
				store := NewMemoryStore(SignIn{RefreshToken: a.currentRefresh()})
				k := a.refresher(t, store)
				mustToken(t, k)
				got := a.counts()
				if got.Requests != 2 || got.Steps != 1 || got.Replays != 0 {
					t.Fatalf("got %+v, want two requests and one step", got)
				}
				if held, _ := store.Load(t.Context()); !held.RefreshToken.Equal(a.currentRefresh()) {
					t.Fatal("the store has another refresh token than the current one")
				}

				// Lost twice: an error, and the next attempt is still one from the same place.
				losses.Store(2)
				if _, err := k.Refresh(t.Context(), mustToken(t, k)); err == nil || errors.Is(err, ErrSignInAgain) {
					t.Fatalf("lost twice: got %v", err)
				}
				time.Sleep(2 * time.Second)
				if _, err := k.Refresh(t.Context(), mustToken(t, k)); err != nil {
					t.Fatalf("afterwards: %v", err)
				}
				if got := a.counts(); got.Steps != 2 || got.Replays != 0 {
					t.Fatalf("got %+v, want two steps", got)
				}
				time.Sleep(2 * time.Minute) // handlers that are still silent
			})
		})
	}
}

func TestEndpoint_AnswersThatAreNotLostAreNotAskedForAgain(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		err    error
		code   oauth.Code
	}{
		{name: "refused", answer: func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_scope"}`)
		}, code: oauth.InvalidScope},
		{name: "overloaded", answer: func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"error":"temporarily_unavailable"}`)
		}, code: oauth.TemporarilyUnavailable},
		{name: "not up", err: dial},
		{name: "redirect", answer: func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://id.example.com/token")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}},
		{name: "an HTML page", answer: func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>secret-in-page") }},
		{name: "no token", answer: body(`{"token_type":"Bearer","expires_in":300}`)},
		{name: "token that breaks a header", answer: body(`{"access_token":"a\r\nb","token_type":"Bearer","expires_in":300}`)},
		{name: "another type", answer: body(`{"access_token":"a","token_type":"DPoP","expires_in":300}`)},
		{name: "no expiry", answer: body(`{"access_token":"a","token_type":"Bearer"}`)},
		{name: "expiry as a string", answer: body(`{"access_token":"secret-in-page","token_type":"Bearer","expires_in":"300"}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			requests := 0
			config := Config{Issuer: "https://id.example.com/", ID: "app", Secret: NewSecret("s3cret")}
			config.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				requests++
				if c.err != nil {
					return nil, c.err
				}
				w := httptest.NewRecorder()
				c.answer(w)
				return w.Result(), nil
			})}
			k, err := Credentials(config)
			if err != nil {
				t.Fatal(err)
			}
			_, err = k.Token(t.Context())
			if err == nil || oauth.CodeOf(err) != c.code || c.err != nil && !errors.Is(err, c.err) {
				t.Fatalf("got %v, want code %q", err, c.code)
			}
			if strings.Contains(err.Error(), "secret-in-page") {
				t.Fatalf("the error quotes the answer: %v", err)
			}
			if requests != 1 {
				t.Fatalf("%d requests, want 1", requests)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func body(s string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { _, _ = io.WriteString(w, s) }
}

func TestEndpoint_ExpiryCountsFromTheRequestAndIsBounded(t *testing.T) {
	asked := time.Now()
	a, err := parse([]byte(`{"access_token":"a","token_type":"BEARER","expires_in":9223372036854775807}`), asked, nil)
	if err != nil || !a.token.Expiry.Equal(asked.Add(longestLife)) {
		t.Fatalf("got %v, %v", a.token.Expiry, err)
	}
	if a.token.Expiry != a.token.Expiry.Round(0) {
		t.Error("the expiry has a monotonic reading, which stands still while the machine sleeps")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	const word = "hunter2hunter2"
	s := NewSecret(word)
	token := Token{AccessToken: s, Type: "Bearer"}
	k, err := Refresh(Config{Issuer: "https://id.example.com", ID: "app", Secret: s, Store: NewMemoryStore(SignIn{RefreshToken: s, Token: token})})
	if err != nil {
		t.Fatal(err)
	}
	k.current = token
	values := []any{s, &s, token, &token, SignIn{RefreshToken: s, Token: token}, Config{Secret: s}, k, k.current, NewMemoryStore(SignIn{RefreshToken: s}), []Secret{s}, map[string]Token{"a": token}, &endpoint{secret: s}}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, word) || strings.Contains(got, fmt.Sprintf("%x", word)) {
				t.Errorf("%s of %T: %s", verb, v, got)
			}
		}
		if got, _ := json.Marshal(v); strings.Contains(string(got), word) {
			t.Errorf("JSON of %T: %s", v, got)
		}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		if strings.Contains(log.String(), word) {
			t.Errorf("log of %T: %s", v, log.String())
		}
	}
}

func TestEndpoint_EchoedSecretsStayOutOfErrors(t *testing.T) {
	for _, part := range []string{"error", "error_description"} {
		a := newAuthority(t)
		refresh := a.currentRefresh()
		a.at = func(_ string, w http.ResponseWriter, r *http.Request) bool {
			fields := map[string]string{"error": "invalid_request", "error_description": ""}
			fields[part] = strings.Repeat("x", 150) + r.PostForm.Get("refresh_token")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(fields)
			return true
		}
		_, err := a.refresher(t, NewMemoryStore(SignIn{RefreshToken: refresh})).Token(t.Context())
		if err == nil || strings.Contains(err.Error(), refresh.Reveal()[:8]) {
			t.Errorf("%s: got %v", part, err)
		}
	}
}

func TestGEN_1_ConfigIsChecked(t *testing.T) {
	good := Config{Issuer: "https://id.example.com", ID: "app", Secret: NewSecret("x")}
	stored := good
	stored.Store = NewMemoryStore(SignIn{})
	for _, c := range []struct {
		name   string
		make   func(Config) (*Keeper, error)
		from   Config
		change func(*Config)
		ok     bool
	}{
		{"credentials", Credentials, good, func(*Config) {}, true},
		{"refresh", Refresh, stored, func(*Config) {}, true},
		{"refresh of a public client", Refresh, stored, func(c *Config) { c.Secret = Secret{} }, true},
		{"http to loopback", Credentials, good, func(c *Config) { c.Issuer = "http://127.0.0.1:8080" }, true},
		{"http to localhost", Credentials, good, func(c *Config) { c.TokenURL = "http://localhost/t" }, true},
		{"insecure http", Credentials, good, func(c *Config) { c.Issuer, c.InsecureHTTP = "http://id.internal", true }, true},
		{"http", Credentials, good, func(c *Config) { c.Issuer = "http://id.example.com" }, false},
		{"no address", Credentials, good, func(c *Config) { c.Issuer = "" }, false},
		{"no host", Credentials, good, func(c *Config) { c.Issuer = "https://" }, false},
		{"user in the URL", Credentials, good, func(c *Config) { c.Issuer = "https://a:b@id.example.com" }, false},
		{"no id", Credentials, good, func(c *Config) { c.ID = "" }, false},
		{"no secret", Credentials, good, func(c *Config) { c.Secret = Secret{} }, false},
		{"malformed scope", Credentials, good, func(c *Config) { c.Scope = "a  b" }, false},
		{"credentials with a store", Credentials, stored, func(*Config) {}, false},
		{"refresh without a store", Refresh, good, func(*Config) {}, false},
		{"refresh with a scope", Refresh, stored, func(c *Config) { c.Scope = "read" }, false},
	} {
		config := c.from
		c.change(&config)
		if _, err := c.make(config); (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}
