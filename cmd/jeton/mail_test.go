package main

import (
	"bytes"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/smtptest"
)

// mailServe is what `jeton serve` and the commands beside it find in their environment.
func mailServe(t *testing.T, s *smtptest.Server, password string) (environ []string, manage string) {
	t.Helper()
	public, within, token := freeAddress(t), freeAddress(t), "of-the-operator-"+newKey()
	watched.Secret("admin token", token)
	watched.Secret("mail password", password)
	dir := t.TempDir()
	return []string{
		"JETON_ISSUER=http://" + public, "JETON_LISTEN_ADDRESS=" + public, "JETON_MANAGE_ADDRESS=" + within,
		"JETON_STORE_URL=sqlite:" + filepath.Join(dir, "jeton.db"), "JETON_SEALING_KEY=" + newKey(), "JETON_MANAGE_ADMIN_TOKEN=" + token,
		"JETON_NOTIFY_TIMEOUT=1s", "JETON_NOTIFY_SMTP_HOST=" + s.Host, "JETON_NOTIFY_SMTP_PORT=" + strconv.Itoa(s.Port),
		"JETON_NOTIFY_SMTP_CA_FILE=" + s.CAFile, "JETON_NOTIFY_SMTP_FROM=Jeton <jeton@id.example.com>",
		"JETON_NOTIFY_SMTP_USER=jeton", "JETON_NOTIFY_SMTP_PASSWORD_FILE=" + put(t, dir, "mail.password", password+"\n"),
		"JETON_MANAGE_URL=http://" + within, "JETON_ADMIN_TOKEN=" + token,
	}, "http://" + within
}

// served runs `jeton serve` until it answers.
func served(t *testing.T, environ []string, manage string) *process {
	t.Helper()
	p := launch(t, build(t), environ, "serve")
	p.eventually("it is ready", func() bool { return answers(t, http.DefaultClient, manage+"/readyz") == http.StatusOK })
	return p
}

// jeton runs a command beside the server.
func jeton(t *testing.T, environ []string, stdin string, args ...string) (output string, ok bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), build(t), args...) // #nosec G204 -- the binary under test
	var out bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append([]string{"HOME=" + t.TempDir()}, environ...), strings.NewReader(stdin), &out, &out
	err := cmd.Run()
	return out.String(), err == nil
}

// The mail server is down when something happens, and jeton is killed right
// after it answered. The mail is sent when both are back.
func TestMail_KilledWhileTheMailServerIsDown(t *testing.T) {
	password := "of-the-mail-server-" + newKey()
	s := smtptest.Start(t, smtptest.Options{User: "jeton", Password: password})
	environ, manage := mailServe(t, s, password)
	s.Stop()
	first := served(t, environ, manage)
	if out, ok := jeton(t, environ, "", "account", "create", "ada", "--email", "ada@example.com", "--email-verified", "--no-password"); !ok {
		t.Fatal(out)
	}
	if out, ok := jeton(t, environ, "correct horse battery staple\n", "account", "password", "ada", "--password-file", "-"); !ok {
		t.Fatal(out)
	}
	_ = first.cmd.Process.Kill()
	<-first.ended

	s.Restart()
	second := served(t, environ, manage)
	mails := s.Wait(1)
	for _, m := range mails { // at least once: a repetition is the same mail
		if m.Envelope != "ada@example.com" || !strings.Contains(m.Subject(), "password") || m.Header.Get("Message-Id") != mails[0].Header.Get("Message-Id") {
			t.Errorf("to %s: %s %s", m.Envelope, m.Subject(), m.Header.Get("Message-Id"))
		}
	}

	out, ok := jeton(t, environ, "", "mail", "test", "--to", "ops@example.com")
	if !ok || !strings.Contains(out, "The mail server took it: OK") {
		t.Errorf("mail test: %s", out)
	}
	if out, ok = jeton(t, environ, "", "mail", "test", "--to", "refuse@example.com"); ok || !strings.Contains(out, "550 5.1.1") {
		t.Errorf("mail test, refused: %s", out)
	}
	if out, ok = jeton(t, environ, "", "mail", "test"); ok || !strings.Contains(out, "--to") {
		t.Errorf("mail test without an address: %s", out)
	}
	second.wantStopped()
}
