package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every block of shell in these pages works as it stands, from top to bottom,
// with a `jeton dev` running and jeton on PATH.
func TestDocs_ShellBlocksWork(t *testing.T) {
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	for _, name := range []string{"run", "register-a-client", "guard-an-api", "revoke", "sign-people-in", "policies", "step-up", "mint", "secrets"} {
		t.Run(name, func(t *testing.T) {
			sh := shell(t)
			page, err := os.ReadFile(filepath.Join("..", "..", "docs", name+".md"))
			if err != nil {
				t.Fatal(err)
			}
			found := blocks.FindAllStringSubmatch(string(page), -1)
			if len(found) == 0 {
				t.Fatal("the page has no block of shell")
			}
			d := devFrom(t, t.TempDir())
			elsewhere := strings.NewReplacer("http://127.0.0.1:8080", d.Issuer, "http://127.0.0.1:8081", d.API, "http://127.0.0.1:8082", d.Manage)
			var script strings.Builder
			for _, block := range found {
				script.WriteString(elsewhere.Replace(block[1]))
			}
			dir := t.TempDir()
			if err := os.Symlink(build(t), filepath.Join(dir, "jeton")); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), sh, "-ex") // #nosec G204 -- found on PATH
			cmd.Stdin = strings.NewReader(script.String())
			cmd.Dir = dir
			cmd.Env = []string{"PATH=" + dir + string(filepath.ListSeparator) + os.Getenv("PATH"), "HOME=" + dir, "JETON_DATA=" + d.data}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
