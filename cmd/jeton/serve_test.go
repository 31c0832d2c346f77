package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/oauth"
)

// put writes a file of a test's directory.
func put(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// certify writes a new self-signed pair for 127.0.0.1 and returns the
// certificate's serial number.
func certify(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: serial, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	put(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return serial.String()
}

// `jeton serve` from one file: TLS with HTTP/2, secrets from files, clients and
// people as declared, and new certificates without a restart.
func TestServe_EndToEnd(t *testing.T) {
	dir, public, manage := t.TempDir(), freeAddress(t), freeAddress(t)
	serial := certify(t, dir)
	secret, password := "of-the-machine-"+newKey(), "of-the-person-"+newKey()
	put(t, dir, "machine.secret", secret+"\n")
	put(t, dir, "ann.password", password+"\n")
	put(t, dir, "sealing.key", newKey()+"\n")
	file := put(t, dir, "jeton.yaml", fmt.Sprintf(`
issuer: https://%[1]s/id
listen:
  address: %[1]s
  tls: {cert_file: %[3]s/cert.pem, key_file: %[3]s/key.pem}
manage: {address: %[2]s}
store: {url: "sqlite:%[3]s/jeton.db"}
sealing_key_file: %[3]s/sealing.key
provision:
  clients:
    - id: machine
      grant_types: [client_credentials]
      scope: [reports:read]
      audience: https://api.example.com
      secret_file: %[3]s/machine.secret
    - id: shop
      auth_method: none
      grant_types: [authorization_code]
      redirect_uris: [https://shop.example.com/cb]
      scope: [openid]
  accounts:
    - {login: ann, password_file: %[3]s/ann.password}
`, public, manage, dir))
	p := launch(t, build(t), nil, "serve", "--config", file)
	p.eventually("ready", func() bool { return answers(t, http.DefaultClient, "http://"+manage+"/readyz") == http.StatusOK })

	c := trusting()
	issuer := "https://" + public + "/id"
	machine := config.DevClient{ID: "machine", Secret: secret}
	resp, err := c.Do(request(t.Context(), issuer+"/token", machine, url.Values{"grant_type": {oauth.ClientCredentials}}))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Errorf("token over TLS: %s %s", resp.Proto, resp.Status)
	}
	if got := resp.Header.Get("Strict-Transport-Security"); !strings.Contains(got, "max-age=63072000") {
		t.Errorf("HSTS header %q", got)
	}
	if got := resp.TLS.PeerCertificates[0].SerialNumber.String(); got != serial {
		t.Errorf("certificate %s, want %s", got, serial)
	}
	browser := *c
	browser.Jar = newJar(t)
	page := get(t, &browser, issuer+"/signin")
	page = submit(t, &browser, page, url.Values{"login": {"ann"}, "password": {password}})
	if !strings.Contains(page.body, "signed in") {
		t.Errorf("sign-in over TLS ends at %s:\n%s", page.at.Path, page.body)
	}

	// serves reports whether a new connection gets this certificate.
	serves := func(serial string) bool {
		resp, err := c.Get(issuer + "/jwks")
		if err != nil {
			t.Fatalf("a connection failed: %v", err)
		}
		resp.Body.Close()
		return resp.TLS.PeerCertificates[0].SerialNumber.String() == serial
	}
	serial = certify(t, dir)
	p.eventually("the new certificate", func() bool { return serves(serial) })
	put(t, dir, "cert.pem", "half a certi")
	p.eventually("a word about the broken pair", func() bool {
		if !serves(serial) {
			t.Fatal("the last good certificate is gone")
		}
		return strings.Contains(p.log.String(), "does not load; serving the last good one")
	})
	serial = certify(t, dir)
	p.eventually("the mended certificate", func() bool { return serves(serial) })
	p.wantStopped()
	if s := p.log.String(); !strings.Contains(s, `"msg":"serving"`) || !strings.Contains(s, `"msg":"provisioned"`) {
		t.Errorf("it does not say what it does:\n%s", s)
	}
}

// Another sealing key is noticed before anything is written.
func TestServe_WrongSealingKeyChangesNothing(t *testing.T) {
	dir, key := t.TempDir(), newKey()
	environ := func(key string) []string {
		watched.Secret("sealing key", key)
		return []string{
			"JETON_ISSUER=http://127.0.0.1:1", "JETON_SEALING_KEY=" + key, "JETON_STORE_URL=sqlite:" + filepath.Join(dir, "jeton.db"),
			"JETON_LISTEN_ADDRESS=127.0.0.1:0", "JETON_MANAGE_ADDRESS=127.0.0.1:0",
		}
	}
	p := launch(t, build(t), environ(key), "serve")
	p.eventually("serving", func() bool { return strings.Contains(p.log.String(), `"msg":"serving"`) })
	p.wantStopped()
	before := digest(t, filepath.Join(dir, "jeton.db"))

	launch(t, build(t), environ(newKey()), "serve").wantRefused("sealing key")
	if digest(t, filepath.Join(dir, "jeton.db")) != before {
		t.Error("the database changed")
	}
	again := launch(t, build(t), environ(key), "serve")
	again.eventually("serving", func() bool { return strings.Contains(again.log.String(), `"msg":"serving"`) })
	again.wantStopped()
}

func digest(t *testing.T, file string) [sha256.Size]byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

func TestServe_Refuses(t *testing.T) {
	good := map[string]string{
		"JETON_ISSUER": "http://127.0.0.1:1", "JETON_SEALING_KEY": newKey(), "JETON_STORE_URL": "sqlite:" + filepath.Join(t.TempDir(), "jeton.db"),
		"JETON_LISTEN_ADDRESS": "127.0.0.1:0", "JETON_MANAGE_ADDRESS": "127.0.0.1:0",
	}
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct{ name, key, value, want string }{
		{"http for the world", "JETON_ISSUER", "http://id.example.com", "issuer: is plain http for a host that is not loopback"},
		{"https without anyone who speaks it", "JETON_ISSUER", "https://id.example.com", "issuer: is https, but nothing speaks it"},
		{"no sealing key", "JETON_SEALING_KEY", "", "sealing_key: is required"},
		{"no certificate", "JETON_LISTEN_TLS_CERT_FILE", "none.pem", "cert_file and key_file go together"},
		{"taken port", "JETON_LISTEN_ADDRESS", taken.Addr().String(), "address already in use"},
		{"taken management port", "JETON_MANAGE_ADDRESS", taken.Addr().String(), "listen for management"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var environ []string
			for key, value := range good {
				if key != tt.key {
					environ = append(environ, key+"="+value)
				}
			}
			launch(t, build(t), append(environ, tt.key+"="+tt.value), "serve").wantRefused(tt.want)
		})
	}
	t.Run("certificate that is not there", func(t *testing.T) {
		var environ []string
		for key, value := range good {
			environ = append(environ, key+"="+value)
		}
		launch(t, build(t), append(environ, "JETON_LISTEN_TLS_CERT_FILE=none.pem", "JETON_LISTEN_TLS_KEY_FILE=none.pem"), "serve").wantRefused("load certificate")
	})
}
