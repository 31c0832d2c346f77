package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/internal/config"
)

func TestDevFile_RoundTrip(t *testing.T) {
	data := t.TempDir()
	want := config.DevFile{
		Issuer: "http://127.0.0.1:8080", API: "http://127.0.0.1:8081", Manage: "http://127.0.0.1:8082", AdminToken: "hidden",
		User:     config.DevUser{Login: "ann", Password: "hidden"},
		Clients:  config.DevClients{Machine: config.DevClient{ID: "machine", Secret: "hidden"}},
		Resource: config.DevResource{ID: "api", Secret: "hidden", Audience: "http://127.0.0.1:8081"},
	}
	for range 2 { // the second replaces the first
		if err := config.WriteDevFile(data, want); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(config.DevPath(data))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode().Perm(), os.FileMode(0o600); got != want {
		t.Errorf("mode %v, want %v", got, want)
	}
	got, err := config.ReadDevFile(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("%d files left, want dev.json alone", len(entries))
	}
	for _, printed := range []string{fmt.Sprintf("%v", got), fmt.Sprintf("%+v", got), fmt.Sprintf("%#v", got.Clients)} {
		if strings.Contains(printed, "hidden") {
			t.Errorf("prints a secret: %s", printed)
		}
	}
}

func TestDevDir(t *testing.T) {
	tests := []struct {
		name    string
		environ []string
		want    string
	}{
		{"state home", []string{"XDG_STATE_HOME=/state", "HOME=/home/ann"}, "/state/jeton/dev"},
		{"home", []string{"HOME=/home/ann"}, "/home/ann/.local/state/jeton/dev"},
		{"relative state home is ignored", []string{"XDG_STATE_HOME=state", "HOME=/home/ann"}, "/home/ann/.local/state/jeton/dev"},
		{"neither", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := config.DevDir(test.environ)
			if (err != nil) != (test.want == "") || filepath.ToSlash(got) != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}
