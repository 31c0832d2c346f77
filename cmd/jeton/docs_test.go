package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/coordtest"
)

var blocks = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// Every block of shell in these pages works as it stands, from top to bottom,
// with a `jeton dev` running and jeton on PATH.
func TestDocs_ShellBlocksWork(t *testing.T) {
	for _, name := range []string{"run", "register-a-client", "guard-an-api", "revoke", "sign-people-in", "browser-apps", "policies", "mail", "step-up", "dpop", "answers", "context", "mint", "secrets", "keys", "events", "operations"} {
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
			var script strings.Builder
			for _, block := range found {
				script.WriteString(block[1])
			}
			elsewhere := strings.NewReplacer("http://127.0.0.1:8080", d.Issuer, "http://127.0.0.1:8081", d.API, "http://127.0.0.1:8082", d.Manage)
			runScript(t, sh, elsewhere.Replace(script.String()), "JETON_DATA="+d.data)
		})
	}
}

// runScript runs a page's commands in an empty directory with jeton on PATH.
func runScript(t *testing.T, sh, script string, environ ...string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(build(t), filepath.Join(dir, "jeton")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), sh, "-ex") // #nosec G204 -- found on PATH
	cmd.Stdin = strings.NewReader(script)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + dir + string(filepath.ListSeparator) + os.Getenv("PATH") + ":/usr/share/zookeeper/bin", "HOME=" + dir}, environ...)
	cmd.WaitDelay = 10 * time.Second // for what it left in the background
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The page about coordination services, against real ones.
func TestDocs_Coordination(t *testing.T) {
	sh := shell(t)
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "coordination.md"))
	if err != nil {
		t.Fatal(err)
	}
	zk, etcd := coordtest.ZooKeeper(t), coordtest.Etcd(t)
	var script strings.Builder
	for _, block := range blocks.FindAllStringSubmatch(string(page), -1) {
		script.WriteString(block[1])
	}
	elsewhere := strings.NewReplacer("127.0.0.1:8080", freeAddress(t), "127.0.0.1:8082", freeAddress(t), "127.0.0.1:2181", zk.Address, "127.0.0.1:2379", etcd.Address)
	runScript(t, sh, elsewhere.Replace(script.String()))
}
