package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/installed"
)

var deployed = filepath.Join("..", "..", "deploy")

// Every variable that a file below deploy/ sets is one that somebody reads.
func TestDeploy_VariablesExist(t *testing.T) {
	var printed bytes.Buffer
	if err := config.Print(&printed); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"JETON_MANAGE_URL": true, "JETON_ADMIN_TOKEN_FILE": true} // of the commands
	for _, name := range regexp.MustCompile(`JETON_[A-Z_]+`).FindAllString(printed.String(), -1) {
		known[name], known[name+"_FILE"] = true, true
	}
	seen := 0
	err := filepath.WalkDir(deployed, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) == ".json" {
			return err
		}
		text, err := os.ReadFile(path) // #nosec G304,G122 -- of this repository
		for _, name := range regexp.MustCompile(`JETON_[A-Z_]+[:=]`).FindAllString(string(text), -1) {
			if seen++; !known[name[:len(name)-1]] {
				t.Errorf("%s: nobody reads %s", path, name)
			}
		}
		return err
	})
	if err != nil || seen < 8 {
		t.Errorf("%d variables, %v", seen, err)
	}
}

// The files are YAML, and the configuration in the ConfigMap is a good one.
func TestDeploy_Kubernetes(t *testing.T) {
	kinds := map[string]map[string]any{}
	for _, doc := range documents(t, "kubernetes/jeton.yaml") {
		kinds[doc["kind"].(string)] = doc
	}
	for _, kind := range []string{"ConfigMap", "PersistentVolumeClaim", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"} {
		if kinds[kind] == nil {
			t.Errorf("there is no %s", kind)
		}
	}
	text := kinds["ConfigMap"]["data"].(map[string]any)["jeton.yaml"].(string)
	dir := t.TempDir()
	put(t, dir, "sealing.key", newKey())
	put(t, dir, "admin.token", newKey())
	file := put(t, dir, "jeton.yaml", strings.ReplaceAll(text, "/run/secrets/jeton", dir))
	if _, err := config.Load(file, nil); err != nil {
		t.Error(err)
	}
}

func TestDeploy_Compose(t *testing.T) {
	compose := documents(t, "compose.yaml")[0]
	jeton := compose["services"].(map[string]any)["jeton"].(map[string]any)
	dir := t.TempDir()
	key := put(t, dir, "key", newKey())
	var environ []string
	for name, value := range jeton["environment"].(map[string]any) {
		text := value.(string)
		if strings.HasPrefix(text, "/run/secrets/") {
			text = key
		}
		environ = append(environ, name+"="+text)
	}
	if _, err := config.Load("", environ); err != nil {
		t.Error(err)
	}
}

func TestDeploy_Caddyfile(t *testing.T) {
	caddy := installed.Program(t, "caddy")
	cmd := exec.CommandContext(t.Context(), caddy, "validate", "--adapter", "caddyfile", "--config", filepath.Join(deployed, "Caddyfile")) // #nosec G204 -- found on PATH
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func documents(t *testing.T, name string) []map[string]any {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(deployed, name))
	if err != nil {
		t.Fatal(err)
	}
	var docs []map[string]any
	for decoder := yaml.NewDecoder(bytes.NewReader(file)); ; {
		var doc map[string]any
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
}
