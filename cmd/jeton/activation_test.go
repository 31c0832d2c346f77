//go:build unix

package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Sockets that systemd opened are taken by their names; the addresses of the
// configuration are not listened on. A shell stands in for systemd: like it, it
// sets LISTEN_PID and becomes the server.
func TestServe_SocketActivation(t *testing.T) {
	sh := shell(t)
	binary := build(t)
	start := func(names string) (cmd *exec.Cmd, log *output, public, manage string) {
		t.Helper()
		var files []*os.File
		var addresses []string
		for range 2 {
			ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			file, err := ln.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			defer ln.Close()
			files, addresses = append(files, file), append(addresses, ln.Addr().String())
		}
		log = &output{}
		cmd = exec.CommandContext(context.WithoutCancel(t.Context()), sh, "-c", `LISTEN_PID=$$ exec "$0" serve`, binary) // #nosec G204 -- the binary under test
		cmd.ExtraFiles, cmd.Stderr = files, log
		cmd.Env = []string{
			"LISTEN_FDS=2", "LISTEN_FDNAMES=" + names, "JETON_ISSUER=http://" + addresses[0], "JETON_SEALING_KEY=" + newKey(),
			"JETON_STORE_URL=sqlite:" + filepath.Join(t.TempDir(), "jeton.db"), "JETON_LISTEN_ADDRESS=192.0.2.1:1", "JETON_MANAGE_ADDRESS=192.0.2.1:2",
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd, log, addresses[0], addresses[1]
	}
	cmd, log, public, manage := start("public:manage")
	for deadline := time.Now().Add(time.Minute); answers(t, http.DefaultClient, "http://"+manage+"/readyz") != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatalf("never ready:\n%s", log)
		}
		time.Sleep(10 * time.Millisecond) // the process has nothing else to wait on
	}
	if got := answers(t, http.DefaultClient, "http://"+public+"/jwks"); got != http.StatusOK {
		t.Errorf("the public socket answers %d", got)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}

	cmd, log, _, _ = start("public:other")
	if err := cmd.Wait(); err == nil || !strings.Contains(log.String(), "listen for management") {
		t.Errorf("a socket without our name: %v\n%s", err, log)
	}
}
