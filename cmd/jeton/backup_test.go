package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// kill -9 in the middle of a backup leaves nothing under the backup's name.
func TestBackup_KilledLeavesNothingThatLooksWhole(t *testing.T) {
	const half = 1 << 20
	sent := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2097152")
		_, _ = w.Write(make([]byte, half))
		_ = http.NewResponseController(w).Flush()
		close(sent)
		<-r.Context().Done()
	}))
	t.Cleanup(web.Close)
	dir := t.TempDir()
	out := filepath.Join(dir, "copy.db")
	p := launch(t, build(t), []string{"JETON_MANAGE_URL=" + web.URL, "JETON_ADMIN_TOKEN=not-checked"}, "backup", "--out", out)
	<-sent
	p.eventually("half of it is there", func() bool {
		found, err := filepath.Glob(out + ".*.partial")
		if err != nil || len(found) != 1 {
			return false
		}
		info, err := os.Stat(found[0])
		return err == nil && info.Size() >= half/2
	})
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if _, err := os.Lstat(out); !os.IsNotExist(err) {
		t.Errorf("there is a file that looks whole: %v", err)
	}
}
