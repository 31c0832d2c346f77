package config_test

import (
	"bytes"
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" // 32 bytes

// minimal is the smallest file that a server starts with.
const minimal = "issuer: http://127.0.0.1:8080\nsealing_key: " + key + "\n"

// asText compares values that hide their inside.
var asText = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b secret.Value) bool { return a.Equal(b.Reveal()) }),
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, yaml string, environ ...string) (config.Config, error) {
	t.Helper()
	return config.Load(write(t, "jeton.yaml", yaml), environ)
}

func TestPrint_Golden(t *testing.T) {
	var got bytes.Buffer
	if err := config.Print(&got); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/jeton.yaml"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("config print changed (-update rewrites the golden file):\n%s", diff)
	}
}

// Every key is printed, explained, and read back as the default.
func TestPrint_ReadsBackAsDefault(t *testing.T) {
	var printed bytes.Buffer
	if err := config.Print(&printed); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(printed.String(), "\n")
	for i, line := range lines {
		key, _, ok := strings.Cut(strings.TrimSpace(line), ":")
		explained := i > 0 && strings.HasPrefix(strings.TrimSpace(lines[i-1]), "#")
		inList := key == "clients" || key == "resources" || key == "accounts" || key == "policies" || key == "webhooks"
		if ok && !strings.HasPrefix(key, "#") && !explained && !inList && !strings.HasSuffix(key, "_file") {
			t.Errorf("%s has no comment", key)
		}
	}

	got, err := load(t, printed.String(), "JETON_ISSUER=http://localhost:8080", "JETON_SEALING_KEY="+key)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Issuer = "http://localhost:8080"
	if got.SealingKey.Reveal() != key {
		t.Error("the sealing key is not the environment's")
	}
	got.SealingKey = want.SealingKey
	if diff := cmp.Diff(want, got, asText, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_Precedence(t *testing.T) {
	file := minimal + "tokens:\n  access_lifetime: 10m\n  id_lifetime: 20m\nlisten:\n"
	got, err := load(t, file,
		"JETON_TOKENS_ID_LIFETIME=30m",
		"JETON_TOKENS_CODE_LIFETIME=", // set to nothing: not set
		"JETON_LISTEN_TRUSTED_PROXIES=10.0.0.0/8, fd00::/8",
		"JETON_LOG_LEVEL=debug",
		"JETON_TOKENS_ACCESS_JITTER=0.1",
		"JETON_SIGN_IN_MIN_PASSWORD=20",
		"JETON_MANAGE_URL=http://127.0.0.1:8082", // of the commands, not of the server
	)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Issuer = "http://127.0.0.1:8080"
	want.SealingKey = got.SealingKey
	want.Tokens.AccessLifetime = 10 * time.Minute // file
	want.Tokens.IDLifetime = 30 * time.Minute     // environment over file
	want.Tokens.AccessJitter = 0.1
	want.SignIn.MinPassword = 20
	want.Log.Level = slog.LevelDebug
	want.Listen.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	if diff := cmp.Diff(want, got, asText); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_EnvironmentAlone(t *testing.T) {
	got, err := config.Load("", []string{"JETON_ISSUER=http://[::1]:8080", "JETON_SEALING_KEY=" + key})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := got.Issuer, "http://[::1]:8080"; got != want {
		t.Errorf("issuer %q, want %q", got, want)
	}
}

func TestLoad_SecretFiles(t *testing.T) {
	inFile := write(t, "sealing", key+"\n")
	adminToken := strings.Repeat("a", 40)
	tests := []struct {
		name    string
		yaml    string
		environ []string
		want    string // admin token
		err     string
	}{
		{name: "yaml", yaml: "manage:\n  admin_token: " + adminToken, want: adminToken},
		{name: "file named in yaml", yaml: "manage:\n  admin_token_file: " + write(t, "a", adminToken+"\n"), want: adminToken},
		{name: "environment over yaml's file", yaml: "manage:\n  admin_token_file: " + write(t, "a", adminToken),
			environ: []string{"JETON_MANAGE_ADMIN_TOKEN=" + strings.Repeat("b", 40)}, want: strings.Repeat("b", 40)},
		{name: "environment's file over yaml", yaml: "manage:\n  admin_token: " + strings.Repeat("c", 40),
			environ: []string{"JETON_MANAGE_ADMIN_TOKEN_FILE=" + write(t, "a", adminToken)}, want: adminToken},
		{name: "both in yaml", yaml: "manage:\n  admin_token: " + adminToken + "\n  admin_token_file: x", err: "jeton.yaml:5: manage.admin_token: given as admin_token too"},
		{name: "both in the environment", environ: []string{"JETON_MANAGE_ADMIN_TOKEN=" + adminToken, "JETON_MANAGE_ADMIN_TOKEN_FILE=x"},
			err: "JETON_MANAGE_ADMIN_TOKEN: JETON_MANAGE_ADMIN_TOKEN_FILE is set too"},
		{name: "no such file", yaml: "manage:\n  admin_token_file: no-such-file", err: "jeton.yaml:4: manage.admin_token_file: open no-such-file"},
		{name: "empty file", environ: []string{"JETON_MANAGE_ADMIN_TOKEN_FILE=" + write(t, "empty", "\n")}, err: "JETON_MANAGE_ADMIN_TOKEN_FILE: file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			base := "issuer: http://127.0.0.1:8080\nsealing_key_file: " + inFile + "\n"
			got, err := load(t, base+test.yaml, test.environ...)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Manage.AdminToken.Reveal() != test.want {
				t.Error("another admin token")
			}
			if got.SealingKey.Reveal() != key {
				t.Error("another sealing key")
			}
		})
	}
}

// The error names every problem with its place, and shows no secret.
func TestLoad_AllProblemsAtOnce(t *testing.T) {
	const mark = "dont-show-this-secret"
	file := `isuer: https://id.example.com
sealing_key: ` + mark + `
listen:
  address: 8080
  tls:
    cert_file: cert.pem
    keyfile: key.pem
  trusted_proxies: 10.0.0.0/8
tokens:
  access_lifetime: 5
  refresh_idle: 5000h
  access_jitter: 2
sessions: 1h
cors:
  origins: [https://app.example.com/]
log:
  format: [json]
manage:
  admin_token: ` + mark + `
provision:
  clients:
    - id: reports-api
      secret_env: NOT_SET
    - id: web
`
	_, err := load(t, file, "JETON_LOG_LEVEL=loud", "JETON_SIGN_IN_MIN_PASSWORD=7", "JETON_LISTEN_TRUSTED_PROXIES=10.0.0.1")
	if err == nil {
		t.Fatal("no error")
	}
	got := err.Error()
	for _, want := range []string{
		`jeton.yaml:1: unknown key "isuer"`,
		`jeton.yaml:7: listen.tls: unknown key "keyfile"; keys here are cert_file, key_file`,
		`jeton.yaml:8: listen.trusted_proxies: want a list here`,
		`jeton.yaml:10: tokens.access_lifetime: "5" is not a duration`,
		`jeton.yaml:13: sessions: want keys and values here`,
		`jeton.yaml:17: log.format: want a single value here`,
		`JETON_LOG_LEVEL: "loud" cannot be read`,
		`JETON_LISTEN_TRUSTED_PROXIES: "10.0.0.1" cannot be read`,
		`issuer: is required`,
		`sealing_key: is not base64`,
		`listen.address: "8080" is not a host and port`,
		`listen.tls: cert_file and key_file go together`,
		`manage.admin_token: has 21 characters`,
		`tokens.refresh_idle: is 5000h, want 1m to 2160h`,
		`tokens.access_jitter: is 2, want 0 to 0.5`,
		`sign_in.min_password: is 7, want 8 to 64`,
		`cors.origins: "https://app.example.com/" is not an origin`,
		`provision.clients: client "web" needs a secret_file or secret_env`,
		`provision: client "reports-api": secret: environment variable NOT_SET is not set`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no problem %q", want)
		}
	}
	if strings.Contains(got, mark) {
		t.Error("the error shows a secret")
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestLoad_BadYAML(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"syntax", "sealing_key: s3cret\n  issuer: x", "jeton.yaml:"},
		{"same key twice", "issuer: x\nissuer: y\n", "jeton.yaml:2:"},
		{"two documents", minimal + "---\nissuer: x\n", "a second document"},
		{"a list at the top", "- issuer: x\n", "want keys and values here"},
		{"unknown key of a client", minimal + "provision:\n  clients:\n    - id: a\n      colour: red\n", "jeton.yaml:6: unknown field"},
		{"secret in the file", minimal + "provision:\n  clients:\n    - id: a\n      secret: s3cret\n", "jeton.yaml:6: unknown field"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := load(t, test.yaml)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestLoad_NoSuchFile(t *testing.T) {
	if _, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), nil); err == nil {
		t.Error("no error")
	}
}

func TestLoad_Provision(t *testing.T) {
	file := minimal + `provision:
  clients:
    - id: reports-api
      auth_method: client_secret_basic
      secret_env: REPORTS_SECRET
      scope: [reports:read]
      access_lifetime: 2m
    - id: app
      auth_method: none
      redirect_uris: [https://app.example.com/back]
  resources:
    - audience: https://api.example.com
      client_id: reports-api
      scope: [reports:read]
  accounts:
    - login: ann
      password_file: ` + write(t, "password", "correct horse battery\n") + `
`
	c, err := load(t, file, "REPORTS_SECRET=from-the-environment")
	if err != nil {
		t.Fatal(err)
	}
	got := c.Provision.Document()
	if len(got.Clients) != 2 || len(got.Resources) != 1 || len(got.Accounts) != 1 {
		t.Fatalf("document has %d clients, %d resources, %d accounts", len(got.Clients), len(got.Resources), len(got.Accounts))
	}
	if got, want := got.Clients[0].Secret, "from-the-environment"; got != want {
		t.Errorf("secret %q, want %q", got, want)
	}
	if got, want := got.Clients[0].AccessLifetime.Std(), 2*time.Minute; got != want {
		t.Errorf("access lifetime %s, want %s", got, want)
	}
	if got, want := got.Accounts[0].Password, "correct horse battery"; got != want {
		t.Errorf("password %q, want %q", got, want)
	}
	if got, want := got.Resources[0].ClientID, "reports-api"; got != want {
		t.Errorf("client id %q, want %q", got, want)
	}
}
