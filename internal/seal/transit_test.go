package seal_test

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/secret"
)

func transit(t *testing.T, c seal.TransitConfig) *seal.Transit {
	t.Helper()
	if c.Key == "" {
		c.Key = "jeton"
	}
	m, err := seal.NewTransit(c)
	must(t, err)
	return m
}

func withToken(t *testing.T, v *vault) *seal.Transit {
	t.Helper()
	return transit(t, seal.TransitConfig{URL: v.URL, Token: secret.New("hvs.good")})
}

func TestTransit_WrapAndUnwrap(t *testing.T) {
	v := newVault(t, httptest.NewServer)
	m := withToken(t, v)
	key, other := secret.NewDataKey(secret.NewID(time.Now())), secret.NewDataKey(secret.NewID(time.Now()))
	w, err := m.Wrap(t.Context(), key)
	must(t, err)
	if w.Master != "transit:transit/jeton" || !strings.HasPrefix(string(w.Key), "vault:v1:") {
		t.Errorf("wrapped as %s, %s", w.Master, w.Key)
	}
	got, err := m.Unwrap(t.Context(), key.ID, w)
	must(t, err)
	if !got.Key.Equal(key.Key.Reveal()) || got.ID != key.ID {
		t.Error("another key came back")
	}
	if _, err := m.Unwrap(t.Context(), other.ID, w); err == nil {
		t.Error("it was unwrapped as another data key")
	}
	if _, err := m.Unwrap(t.Context(), key.ID, seal.Wrapped{Master: "key:0011", Key: w.Key}); !errors.Is(err, seal.ErrOtherMaster) {
		t.Errorf("of another master: got %v", err)
	}
}

// A database moves from the sealing key to Vault and back, online, and a key
// that is rotated inside Vault is followed by a rewrap.
func TestTransit_MoveToAndFrom(t *testing.T) {
	v := newVault(t, httptest.NewServer)
	store, file, m := openStore(t), fileMaster(t), withToken(t, v)
	want := put(t, store, open(t, store, file).Sealer(), 5)
	s := open(t, store, m, file)
	must(t, s.Rewrap(t.Context(), authority.System, "to Vault"))
	wantSecrets(t, store, open(t, store, m).Sealer(), want)
	if k := dataKeys(t, store)[0]; k.Master != m.String() || !strings.HasPrefix(string(k.Wrapped), "vault:v1:") {
		t.Errorf("wrapped by %s: %s", k.Master, k.Wrapped)
	}

	v.rotate("jeton")
	must(t, s.Rewrap(t.Context(), authority.System, "rotated in Vault"))
	if k := dataKeys(t, store)[0]; !strings.HasPrefix(string(k.Wrapped), "vault:v2:") {
		t.Errorf("still %s", k.Wrapped)
	}
	v.change(func() { v.keys["jeton"].min = 2 })
	wantSecrets(t, store, open(t, store, m).Sealer(), want)

	must(t, open(t, store, file, m).Rewrap(t.Context(), authority.System, "back"))
	v.Close()
	wantSecrets(t, store, open(t, store, file).Sealer(), want)
}

// What cannot be reached is waited for; what refuses is not, and the error says
// what Vault said. Nothing is changed either way.
func TestTransit_Start(t *testing.T) {
	v := newVault(t, httptest.NewServer)
	store := openStore(t)
	want := put(t, store, open(t, store, withToken(t, v)).Sealer(), 2)
	before, keys := sealed(t, store), dataKeys(t, store)
	start := func(m seal.Master, patience time.Duration) (*seal.Service, error) {
		return seal.Open(t.Context(), seal.Config{Store: store, Masters: []seal.Master{m}, Patience: patience})
	}
	for _, tt := range []struct {
		name      string
		config    seal.TransitConfig
		down      string
		min       int
		available bool
		says      string
	}{
		{name: "sealed", config: seal.TransitConfig{Token: secret.New("hvs.good")}, down: "sealed", says: "Vault is sealed"},
		{name: "no active node", config: seal.TransitConfig{Token: secret.New("hvs.good")}, down: "standby", says: "not active"},
		{name: "throttled", config: seal.TransitConfig{Token: secret.New("hvs.good")}, down: "throttled", says: "rate limit"},
		{name: "redirect", config: seal.TransitConfig{Token: secret.New("hvs.good")}, down: "moved", available: true, says: "redirect"},
		{name: "bad token", config: seal.TransitConfig{Token: secret.New("hvs.bad")}, available: true, says: "permission denied"},
		{name: "no such role", config: seal.TransitConfig{RoleID: "role", SecretID: secret.New("wrong-secret-id")}, available: true, says: "invalid role or secret ID"},
		{name: "version too old", config: seal.TransitConfig{Token: secret.New("hvs.good")}, min: 2, available: true, says: "too old"},
	} {
		tt.config.URL = v.URL
		v.change(func() { v.down, v.keys["jeton"].min = tt.down, max(tt.min, 1) })
		asked := v.count()
		_, err := start(transit(t, tt.config), 700*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, seal.ErrUnavailable) == tt.available {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if n := v.count() - asked; tt.available && n != 1 || !tt.available && n < 2 {
			t.Errorf("%s: asked %d times", tt.name, n)
		}
		for _, leak := range []string{"hvs.", "wrong-secret-id", "hunter2"} {
			if err != nil && strings.Contains(err.Error(), leak) {
				t.Errorf("%s: the error shows a credential: %v", tt.name, err)
			}
		}
		if diff := cmp.Diff(before, sealed(t, store)) + cmp.Diff(keys, dataKeys(t, store)); diff != "" {
			t.Errorf("%s: the store was changed: %s", tt.name, diff)
		}
	}
	v.change(func() { v.down, v.keys["jeton"].min = "sealed", 1 })
	unsealed := time.AfterFunc(300*time.Millisecond, func() { v.change(func() { v.down = "" }) })
	defer unsealed.Stop()
	s, err := start(withToken(t, v), 30*time.Second)
	must(t, err)
	wantSecrets(t, store, s.Sealer(), want)

	// After the start nothing depends on it.
	v.Close()
	wantSecrets(t, store, s.Sealer(), want)
	if got, err := s.Sealer().Open(s.Sealer().Seal([]byte("x"), "p"), "p"); err != nil || string(got) != "x" {
		t.Errorf("without Vault: %q, %v", got, err)
	}
	if err := s.Rewrap(t.Context(), authority.System, ""); !errors.Is(err, seal.ErrUnavailable) {
		t.Errorf("rewrap without Vault: got %v, want ErrUnavailable", err)
	}
	if diff := cmp.Diff(keys, dataKeys(t, store)); diff != "" {
		t.Errorf("the data keys were changed: %s", diff)
	}
}

// A login is kept while it works and made again when it does not; a token that an
// agent renews is read again each time.
func TestTransit_Credentials(t *testing.T) {
	v := newVault(t, httptest.NewServer)
	key := secret.NewDataKey(secret.NewID(time.Now()))
	role := transit(t, seal.TransitConfig{URL: v.URL, RoleID: "role", SecretID: secret.New("hunter2-secret-id")})
	for range 3 {
		_, err := role.Wrap(t.Context(), key)
		must(t, err)
	}
	if v.logins != 1 {
		t.Errorf("%d logins, want 1", v.logins)
	}
	v.change(func() { clear(v.tokens) }) // expired
	_, err := role.Wrap(t.Context(), key)
	must(t, err)
	if v.logins != 2 {
		t.Errorf("%d logins, want 2", v.logins)
	}

	sink := filepath.Join(t.TempDir(), "token")
	agent := transit(t, seal.TransitConfig{URL: v.URL, TokenSink: sink})
	if _, err := agent.Wrap(t.Context(), key); !errors.Is(err, seal.ErrUnavailable) {
		t.Errorf("before the agent has written it: got %v, want ErrUnavailable", err)
	}
	for _, token := range []string{"hvs.first", "hvs.second"} {
		v.change(func() { clear(v.tokens); v.tokens[token] = true })
		must(t, os.WriteFile(sink, []byte(token+"\n"), 0o600))
		_, err := agent.Wrap(t.Context(), key)
		must(t, err)
	}
}

func TestTransit_TLS(t *testing.T) {
	v := newVault(t, func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that is refused
		s.StartTLS()
		return s
	})
	key := secret.NewDataKey(secret.NewID(time.Now()))
	c := seal.TransitConfig{URL: v.URL, Token: secret.New("hvs.good")}
	if _, err := transit(t, c).Wrap(t.Context(), key); err == nil {
		t.Error("a server that nobody vouches for was trusted")
	}
	c.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(c.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.Certificate().Raw}), 0o600))
	_, err := transit(t, c).Wrap(t.Context(), key)
	must(t, err)
}

func TestTransit_RefusesBadConfig(t *testing.T) {
	good := seal.TransitConfig{URL: "https://vault.example.com:8200", Key: "jeton", Token: secret.New("hvs.good")}
	for name, spoil := range map[string]func(*seal.TransitConfig){
		"no URL":             func(c *seal.TransitConfig) { c.URL = "" },
		"plain http":         func(c *seal.TransitConfig) { c.URL = "http://vault.example.com:8200" },
		"http, almost local": func(c *seal.TransitConfig) { c.URL = "http://127.example.com:8200" },
		"credentials in it":  func(c *seal.TransitConfig) { c.URL = "https://u:p@vault.example.com" },
		"no key":             func(c *seal.TransitConfig) { c.Key = "" },
		"a path as key":      func(c *seal.TransitConfig) { c.Key = "a/b" },
		"nobody":             func(c *seal.TransitConfig) { c.Token = secret.Value{} },
		"half a role":        func(c *seal.TransitConfig) { c.Token, c.RoleID = secret.Value{}, "role" },
		"no CA file":         func(c *seal.TransitConfig) { c.CAFile = filepath.Join(t.TempDir(), "none") },
	} {
		c := good
		spoil(&c)
		if _, err := seal.NewTransit(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := seal.NewTransit(good); err != nil {
		t.Error(err)
	}
}
