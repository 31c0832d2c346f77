package provision_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/provision"
)

func environment(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := pairs[name]
		return value, ok
	}
}

func TestFile_SecretsStandElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("from the file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := provision.Parse([]byte(`
clients:
  - id: web
    secret_env: WEB_SECRET
    redirect_uris: [https://app.example.com/]
    refresh_idle: 48h
accounts:
  - login: ann
    password_file: ` + path + `
prune: true
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Resolve(environment(map[string]string{"WEB_SECRET": "from the environment"})); err != nil {
		t.Fatal(err)
	}
	d := f.Document()
	if got, want := d.Clients[0].Secret, "from the environment"; got != want {
		t.Errorf("secret %q, want %q", got, want)
	}
	if got, want := d.Accounts[0].Password, "from the file"; got != want {
		t.Errorf("password %q, want %q", got, want)
	}
	if got, want := d.Clients[0].RefreshIdle.String(), "48h0m0s"; got != want || !d.Prune {
		t.Errorf("refresh idle %s, want %s; prune %v", got, want, d.Prune)
	}
	if printed := fmt.Sprintf("%v %+v %#v", f, f, f); strings.Contains(printed, "from the") {
		t.Errorf("a file prints its secrets: %s", printed)
	}
}

func TestFile_Resolve_ReportsAll(t *testing.T) {
	f, err := provision.Parse([]byte(`
clients:
  - id: a
    secret_env: NOT_SET
  - id: b
    secret_file: x
    secret_env: SET
accounts:
  - login: ann
    password_file: no-such-file
`))
	if err != nil {
		t.Fatal(err)
	}
	err = f.Resolve(environment(map[string]string{"SET": "value"}))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`client "a": secret: environment variable NOT_SET is not set`, `client "b": secret: name a file or`, `account "ann": password: open no-such-file`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no problem %q in:\n%v", want, err)
		}
	}
}

func TestParse_Refuses(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"unknown key", "clients:\n  - id: a\n    colour: red\n", "3: unknown field"},
		{"secret in the file", "clients:\n  - id: a\n    secret: hunter2\n", "3: unknown field"},
		{"password in the file", "accounts:\n  - login: a\n    password: hunter2\n", "3: unknown field"},
		{"duration", "clients:\n  - id: a\n    refresh_idle: hunter2\n", "hunter2"},
		{"key twice", "prune: true\nprune: false\n", "2:"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := provision.Parse([]byte(test.yaml))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if test.name != "duration" && err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
	if f, err := provision.Parse(nil); err != nil || !f.Empty() {
		t.Errorf("an empty file: %+v, %v", f, err)
	}
}
