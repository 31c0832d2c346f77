package seal_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// vault speaks the part of the HTTP API of HashiCorp Vault and OpenBao that a
// transit key needs: encrypt and decrypt with key versions and associated data,
// AppRole logins, and the shapes and statuses of refusals. A real server cannot
// be had where these tests run; the shapes are those of its API documentation.
type vault struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	down     string                 // "sealed", "standby", "throttled" or ""
	keys     map[string]*transitKey // by name
	tokens   map[string]bool        // good for all keys
	roles    map[string]string      // role id to secret id
	logins   int                    // answered with a token
	requests int                    // of any kind
}

type transitKey struct {
	versions []cipher.AEAD // version 1 first
	min      int           // lowest that may decrypt
}

func newVault(t *testing.T, start func(http.Handler) *httptest.Server) *vault {
	t.Helper()
	v := &vault{t: t, keys: map[string]*transitKey{}, tokens: map[string]bool{"hvs.good": true}, roles: map[string]string{"role": "hunter2-secret-id"}}
	v.rotate("jeton")
	v.Server = start(v)
	t.Cleanup(v.Close)
	return v
}

// change runs f while no request is answered.
func (v *vault) change(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func (v *vault) rotate(name string) {
	v.change(func() {
		raw := make([]byte, 32)
		_, _ = rand.Read(raw)
		block, err := aes.NewCipher(raw)
		must(v.t, err)
		aead, err := cipher.NewGCM(block)
		must(v.t, err)
		if v.keys[name] == nil {
			v.keys[name] = &transitKey{min: 1}
		}
		v.keys[name].versions = append(v.keys[name].versions, aead)
	})
}

func (v *vault) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.requests
}

type transitBody struct {
	Plaintext      string `json:"plaintext"`
	Ciphertext     string `json:"ciphertext"`
	AssociatedData string `json:"associated_data"`
	RoleID         string `json:"role_id"`
	SecretID       string `json:"secret_id"`
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests++
	switch v.down {
	case "sealed":
		refuse(w, http.StatusServiceUnavailable, "Vault is sealed")
		return
	case "standby":
		refuse(w, http.StatusInternalServerError, "local node not active but active cluster node not found")
		return
	case "throttled":
		refuse(w, http.StatusTooManyRequests, "request path \"transit/decrypt/jeton\": rate limit quota exceeded")
		return
	case "moved":
		w.Header().Set("Location", "https://elsewhere.example.com"+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	var body transitBody
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		refuse(w, http.StatusMethodNotAllowed, "unsupported operation")
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, "failed to parse JSON input: "+err.Error())
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	if slices.Equal(path, []string{"auth", "approle", "login"}) {
		v.login(w, body)
		return
	}
	if len(path) != 3 || path[0] != "transit" {
		refuse(w, http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", strings.Join(path, "/")))
		return
	}
	if !v.tokens[r.Header.Get("X-Vault-Token")] {
		refuse(w, http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
		return
	}
	key := v.keys[path[2]]
	if key == nil {
		refuse(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n") // a policy without create
		return
	}
	switch path[1] {
	case "encrypt":
		v.encrypt(w, key, body)
	case "decrypt":
		v.decrypt(w, key, body)
	default:
		refuse(w, http.StatusNotFound, "unsupported path")
	}
}

func (v *vault) login(w http.ResponseWriter, body transitBody) {
	if body.SecretID == "" || v.roles[body.RoleID] != body.SecretID {
		refuse(w, http.StatusBadRequest, "invalid role or secret ID")
		return
	}
	v.logins++
	token := "hvs.login" + strconv.Itoa(v.logins)
	v.tokens[token] = true
	reply(w, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": 3600, "renewable": true}})
}

func (v *vault) encrypt(w http.ResponseWriter, key *transitKey, body transitBody) {
	plain, err := base64.StdEncoding.DecodeString(body.Plaintext)
	ad, adErr := base64.StdEncoding.DecodeString(body.AssociatedData)
	if err != nil || adErr != nil {
		refuse(w, http.StatusBadRequest, "failed to base64-decode plaintext")
		return
	}
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	version := len(key.versions)
	sealed := key.versions[version-1].Seal(nonce, nonce, plain, ad)
	reply(w, map[string]any{"data": map[string]any{
		"ciphertext": fmt.Sprintf("vault:v%d:%s", version, base64.StdEncoding.EncodeToString(sealed)), "key_version": version,
	}})
}

func (v *vault) decrypt(w http.ResponseWriter, key *transitKey, body transitBody) {
	version, text, ok := strings.Cut(strings.TrimPrefix(body.Ciphertext, "vault:v"), ":")
	n, err := strconv.Atoi(version)
	raw, rawErr := base64.StdEncoding.DecodeString(text)
	ad, adErr := base64.StdEncoding.DecodeString(body.AssociatedData)
	switch {
	case !strings.HasPrefix(body.Ciphertext, "vault:v") || !ok:
		refuse(w, http.StatusBadRequest, "invalid ciphertext: no prefix")
	case err != nil || n < 1 || n > len(key.versions) || rawErr != nil || adErr != nil || len(raw) < 12:
		refuse(w, http.StatusBadRequest, "invalid ciphertext: could not decode")
	case n < key.min:
		refuse(w, http.StatusBadRequest, "ciphertext or signature version is disallowed by policy (too old)")
	default:
		plain, err := key.versions[n-1].Open(nil, raw[:12], raw[12:], ad)
		if err != nil {
			refuse(w, http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		reply(w, map[string]any{"data": map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)}})
	}
}

// reply adds what every answer has.
func reply(w http.ResponseWriter, body map[string]any) {
	for name, value := range map[string]any{
		"request_id": "8c8b4ac7-9a4e-43d9-a9a1-1f2a41c1d3ee", "lease_id": "", "renewable": false, "lease_duration": 0, "wrap_info": nil, "warnings": nil,
	} {
		body[name] = value
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{text}})
}
