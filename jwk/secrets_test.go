package jwk_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

func secretSet(t *testing.T, keys ...*jwk.Key) []byte {
	t.Helper()
	b, err := jwk.MarshalSecrets(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSecrets_RoundTrip(t *testing.T) {
	a, b := generate(t, jwk.HS256), generate(t, jwk.HS256)
	set, err := jwk.ParseSecrets(secretSet(t, a, b))
	if err != nil {
		t.Fatal(err)
	}
	if all := set.All(); len(all) != 2 || all[0].ID() != a.ID() || all[1].ID() != b.ID() {
		t.Fatalf("got %v", all)
	}
	mac, err := a.Sign([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Lookup(a.ID())[0].Verify([]byte("x"), mac); err != nil {
		t.Error(err)
	}
	if _, err := set.MarshalJSON(); !errors.Is(err, jwk.ErrPrivateKey) {
		t.Errorf("the set publishes itself: %v", err)
	}
}

// JW-10, JW-31: a set of secrets holds secrets alone, and a public set is never
// taken for one.
func TestJW_31_SecretsAreNothingElse(t *testing.T) {
	ec := generate(t, jwk.ES256)
	public, err := ec.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	private, err := ec.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	h := generate(t, jwk.HS256)
	oct := strings.TrimSuffix(strings.TrimPrefix(string(secretSet(t, h)), `{"keys":[`), `]}`)
	for name, set := range map[string]string{
		"public key":     `{"keys":[` + string(public) + `]}`,
		"private key":    `{"keys":[` + string(private) + `]}`,
		"one among them": `{"keys":[` + oct + `,` + string(public) + `]}`,
		"no keys":        `{"keys":[]}`,
		"no list":        `{}`,
		"kid twice":      `{"keys":[` + oct + `,` + oct + `]}`,
		"no alg":         `{"keys":[{"kty":"oct","k":"` + strings.Repeat("A", 43) + `"}]}`,
		"short secret":   `{"keys":[{"kty":"oct","alg":"HS256","k":"AAAA"}]}`,
		"other alg":      `{"keys":[{"kty":"oct","alg":"RS256","k":"` + strings.Repeat("A", 43) + `"}]}`,
	} {
		if _, err := jwk.ParseSecrets([]byte(set)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := jwk.MarshalSecrets(ec); !errors.Is(err, jwk.ErrAlgorithm) {
		t.Errorf("a private key was written as a secret: %v", err)
	}
}

// The file is replaced under the feet of its reader; a bad one is reported and
// changes nothing.
func TestSecretFile_Follows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring.jwks")
	a, b := generate(t, jwk.HS256), generate(t, jwk.HS256)
	if _, err := jwk.NewSecretFile(jwk.SecretFileConfig{Path: path}); err == nil {
		t.Fatal("a file that is not there was accepted")
	}
	write := func(keys ...*jwk.Key) {
		t.Helper()
		if err := jwk.WriteSecretFile(path, secretSet(t, keys...)); err != nil {
			t.Fatal(err)
		}
	}
	write(a)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	now := time.Unix(1e9, 0)
	var problems []error
	f, err := jwk.NewSecretFile(jwk.SecretFileConfig{
		Path: path, Every: time.Minute, Now: func() time.Time { return now }, OnError: func(err error) { problems = append(problems, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	knows := func(k *jwk.Key) bool {
		t.Helper()
		keys, err := f.Keys(t.Context(), k.ID())
		if err != nil && !errors.Is(err, jwk.ErrUnknownKey) {
			t.Fatal(err)
		}
		return len(keys) == 1
	}
	if !knows(a) || knows(b) {
		t.Fatal("it does not hold the file")
	}
	write(a, b)
	now = now.Add(time.Second) // before its time, but the id is unknown
	if !knows(b) || !knows(a) {
		t.Error("an unknown id did not make it look")
	}
	write(b)
	now = now.Add(time.Minute)
	if knows(a) || !knows(b) {
		t.Error("it did not look when it was time")
	}
	if err := os.WriteFile(path, []byte(`{"keys":[`), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if !knows(b) || len(problems) == 0 {
		t.Errorf("a broken file: %d problems were reported", len(problems))
	}
	if keys, err := f.Keys(t.Context(), ""); !errors.Is(err, jwk.ErrUnknownKey) {
		t.Errorf("no kid: got %v, %v", keys, err)
	}
	write(a)
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	problems = nil
	if knows(a) || len(problems) == 0 {
		t.Error("a file that everybody can read was accepted")
	}
	for _, err := range problems {
		if strings.Contains(err.Error(), "keys") {
			t.Errorf("the error shows the file: %v", err)
		}
	}
	if err := jwk.WriteSecretFile(path, []byte(`{"keys":[]}`)); err == nil {
		t.Error("a set that cannot be read back was written")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, want 1 (%v)", len(entries), err)
	}
}
