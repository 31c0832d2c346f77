package agent_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/agent"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
)

// An agent does not start with a file of shared secrets that it cannot use.
func TestNew_SharedKeysFile(t *testing.T) {
	dir := t.TempDir()
	key, err := jwk.Generate(jwk.HS256)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jwk.MarshalSecrets(key)
	if err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(dir, "ring.jwks")
	if err := jwk.WriteSecretFile(good, set); err != nil {
		t.Fatal(err)
	}
	for path, ok := range map[string]bool{"": true, good: true, filepath.Join(dir, "none"): false, dir: false} {
		a, err := agent.New(agent.Config{
			Issuer: "https://id.example.com", Audience: "https://api.example.com", ClientID: "api", ClientSecret: secret.New("a secret of the api"),
			SharedKeysFile: path,
		}, slog.New(slog.DiscardHandler))
		if (err == nil) != ok {
			t.Errorf("%q: got %v", path, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "shared-keys-file: ") {
			t.Errorf("%q: the error does not name the flag: %v", path, err)
		}
		if err == nil {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
