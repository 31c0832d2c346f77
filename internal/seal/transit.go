package seal

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// TransitConfig says where HashiCorp Vault or OpenBao is and how to prove who we
// are. One of Token, TokenSink, and RoleID with SecretID is required.
type TransitConfig struct {
	URL       string // https; http for a loopback host only
	Namespace string
	Mount     string // of the transit engine; default "transit"
	Key       string // name of an aes256-gcm96 (default type) or chacha20-poly1305 key

	Token     secret.Value
	TokenSink string // file in which an agent keeps a fresh token; read at each use

	RoleMount string // of the AppRole method; default "approle"
	RoleID    string
	SecretID  secret.Value

	CAFile string // PEM; default: the system's
}

// Transit is a master key inside the transit engine of Vault or OpenBao. The key
// never leaves there; a data key goes there to be wrapped and unwrapped, over
// TLS. Rotation of the key inside Vault needs nothing but [Service.Rewrap].
type Transit struct {
	cfg    TransitConfig
	client *http.Client

	mu    sync.Mutex
	login secret.Value // token of the last AppRole login
}

const (
	transitPatience = 10 * time.Second
	transitAnswer   = 64 << 10
)

// NewTransit checks the configuration. It talks to nobody.
func NewTransit(c TransitConfig) (*Transit, error) {
	if c.Mount == "" {
		c.Mount = "transit"
	}
	if c.RoleMount == "" {
		c.RoleMount = "approle"
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("vault: the URL is not a plain https URL")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("vault: plain http would show data keys on the network: use https")
	}
	if c.Key == "" || strings.Contains(c.Key, "/") {
		return nil, errors.New("vault: the name of a transit key is required")
	}
	if c.Token.Empty() && c.TokenSink == "" && (c.RoleID == "" || c.SecretID.Empty()) {
		return nil, errors.New("vault: a token, a token sink, or a role id with a secret id is required")
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("vault: CA: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("vault: CA: %s holds no certificate", c.CAFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &Transit{cfg: c, client: &http.Client{
		Transport: transport, Timeout: transitPatience,
		// A redirect would carry the token and the data key elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// String is the name of the key: "transit:", the mount and the key's name. It
// does not name the host, so that Vault can move.
func (t *Transit) String() string { return "transit:" + t.cfg.Mount + "/" + t.cfg.Key }

// transitData are the members of requests and answers that are used here.
type transitData struct {
	Plaintext      string `json:"plaintext,omitempty"`
	Ciphertext     string `json:"ciphertext,omitempty"`
	AssociatedData string `json:"associated_data,omitempty"` // binds the wrapped key to its id
}

func associated(id secret.ID) string {
	return base64.StdEncoding.EncodeToString([]byte(dataKeyPlace(id)))
}

// Wrap implements Master.
func (t *Transit) Wrap(ctx context.Context, key secret.DataKey) (Wrapped, error) {
	answer, err := t.transit(ctx, "encrypt", transitData{
		Plaintext: base64.StdEncoding.EncodeToString([]byte(key.Key.Reveal())), AssociatedData: associated(key.ID),
	})
	if err != nil {
		return Wrapped{}, err
	}
	if !strings.HasPrefix(answer.Ciphertext, "vault:v") {
		return Wrapped{}, errors.New("vault: the answer holds no ciphertext")
	}
	return Wrapped{t.String(), []byte(answer.Ciphertext)}, nil
}

// Unwrap implements Master.
func (t *Transit) Unwrap(ctx context.Context, id secret.ID, w Wrapped) (secret.DataKey, error) {
	if w.Master != t.String() {
		return secret.DataKey{}, ErrOtherMaster
	}
	answer, err := t.transit(ctx, "decrypt", transitData{Ciphertext: string(w.Key), AssociatedData: associated(id)})
	if err != nil {
		return secret.DataKey{}, fmt.Errorf("unwrap data key %s with %s: %w", id, t, err)
	}
	key, err := base64.StdEncoding.DecodeString(answer.Plaintext)
	if err != nil {
		return secret.DataKey{}, errors.New("vault: the answer holds no plaintext")
	}
	return dataKey(id, key)
}

// transit calls the engine. A login that has expired is made again, once.
func (t *Transit) transit(ctx context.Context, operation string, body transitData) (transitData, error) {
	var answer struct {
		Data transitData `json:"data"`
	}
	path := t.cfg.Mount + "/" + operation + "/" + url.PathEscape(t.cfg.Key)
	for fresh := false; ; fresh = true {
		token, again, err := t.token(ctx, fresh)
		if err != nil {
			return transitData{}, err
		}
		status, err := t.call(ctx, path, token, body, &answer)
		if status == http.StatusForbidden && again && !fresh {
			continue
		}
		return answer.Data, err
	}
}

// token is what proves who we are. again: asking for a fresh one may help.
func (t *Transit) token(ctx context.Context, fresh bool) (_ secret.Value, again bool, err error) {
	switch {
	case !t.cfg.Token.Empty():
		return t.cfg.Token, false, nil
	case t.cfg.TokenSink != "":
		content, err := os.ReadFile(t.cfg.TokenSink)
		if err != nil {
			return secret.Value{}, false, fmt.Errorf("%w: vault: token sink: %w", ErrUnavailable, err)
		}
		return secret.New(strings.TrimSpace(string(content))), false, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.login.Empty() && !fresh {
		return t.login, true, nil
	}
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	body := map[string]string{"role_id": t.cfg.RoleID, "secret_id": t.cfg.SecretID.Reveal()}
	if _, err := t.call(ctx, "auth/"+t.cfg.RoleMount+"/login", secret.Value{}, body, &answer); err != nil {
		return secret.Value{}, false, fmt.Errorf("log in: %w", err)
	}
	if answer.Auth.Token == "" {
		return secret.Value{}, false, errors.New("vault: the login was answered without a token")
	}
	t.login = secret.New(answer.Auth.Token)
	return t.login, true, nil
}

// call makes one request and reads its answer.
func (t *Transit) call(ctx context.Context, path string, token secret.Value, body, answer any) (status int, err error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return 0, fmt.Errorf("vault: encode a request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(t.cfg.URL, "/")+"/v1/"+path, bytes.NewReader(encoded))
	if err != nil {
		return 0, fmt.Errorf("vault: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Vault-Request", "true")
	if !token.Empty() {
		req.Header.Set("X-Vault-Token", token.Reveal())
	}
	if t.cfg.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", t.cfg.Namespace)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("%w: vault: %w", ErrUnavailable, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, transitAnswer))
	if err != nil {
		return 0, fmt.Errorf("%w: vault: %w", ErrUnavailable, err)
	}
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, refusal(resp.StatusCode, content)
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return resp.StatusCode, errors.New("vault: the answer is not JSON")
	}
	return resp.StatusCode, nil
}

// refusal reads Vault's {"errors": [...]}. A sealed, starting, overloaded or
// failing Vault may recover; anything else needs somebody to change something.
func refusal(status int, content []byte) error {
	var body struct {
		Errors []string `json:"errors"`
	}
	said := "no reason"
	if json.Unmarshal(content, &body) == nil && len(body.Errors) > 0 {
		said = strings.Join(strings.Fields(strings.Join(body.Errors, "; ")), " ")
	}
	err := fmt.Errorf("vault answered %d: %.300s", status, said)
	switch {
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case status >= 300 && status < 400:
		return fmt.Errorf("%w (a redirect: name the active node, or a load balancer that finds it)", err)
	}
	return err
}
