package mail_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/mail"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/smtptest"
)

func roots(t *testing.T, s *smtptest.Server) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return pool
}

func transport(t *testing.T, s *smtptest.Server, change func(*mail.Server)) *mail.Transport {
	t.Helper()
	to := mail.Server{
		Host: s.Host, Port: s.Port, TLS: mail.StartTLS, Roots: roots(t, s), Timeout: 10 * time.Second,
		From: "Jeton at Example <jeton@id.example.com>", ReplyTo: "help@example.com",
	}
	if change != nil {
		change(&to)
	}
	tr, err := mail.NewTransport(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

func message(to string) mail.Message {
	return mail.Message{
		ID: "AZabc-_123", To: to, Subject: "Grüße an Ada", Text: "Hello\n.\nAda — done\n", HTML: "<p>Hello — Ada</p>",
		Date: time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC),
	}
}

func TestSend_HeadersAndBothTexts(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	answer, err := transport(t, s, nil).Send(t.Context(), message("ada@example.com"))
	if err != nil || !strings.HasPrefix(answer, "OK") && !strings.HasPrefix(answer, "250") {
		t.Fatalf("%q, %v", answer, err)
	}
	m := s.Wait(1)[0]
	for header, want := range map[string]string{
		"From": `"Jeton at Example" <jeton@id.example.com>`, "To": "<ada@example.com>", "Reply-To": "<help@example.com>",
		"Message-Id": "<AZabc-_123@id.example.com>", "Date": "Wed, 04 Mar 2026 05:06:07 +0000", "Auto-Submitted": "auto-generated",
		"X-Mailfrom": "jeton@id.example.com", "X-Tls": "yes", "X-Mailer": "", "User-Agent": "",
	} {
		if got := m.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	if m.Subject() != "Grüße an Ada" || m.Text != "Hello\n.\nAda — done\n" || m.HTML != "<p>Hello — Ada</p>" || m.Envelope != "ada@example.com" {
		t.Errorf("%q, %q, %q to %s", m.Subject(), m.Text, m.HTML, m.Envelope)
	}
}

func TestSend_TLSModesAndSignIn(t *testing.T) {
	for mode, user := range map[string]string{mail.StartTLS: "jeton", mail.ImplicitTLS: "", mail.NoTLS: ""} {
		t.Run(mode, func(t *testing.T) {
			password := ""
			if user != "" {
				password = "smtp password of the tests"
			}
			s := smtptest.Start(t, smtptest.Options{TLS: mode, User: user, Password: password})
			with := func(password string) func(*mail.Server) {
				return func(to *mail.Server) { to.TLS, to.User, to.Password = mode, user, secret.New(password) }
			}
			if _, err := transport(t, s, with(password)).Send(t.Context(), message("ada@example.com")); err != nil {
				t.Fatal(err)
			}
			m := s.Wait(1)[0]
			if got := m.Header.Get("X-Tls"); (got == "yes") != (mode != mail.NoTLS) || m.Header.Get("X-User") != user {
				t.Errorf("encrypted: %s, user %q", got, m.Header.Get("X-User"))
			}
			if user == "" {
				return
			}
			_, err := transport(t, s, with("wrong password of the tests")).Send(t.Context(), message("ada@example.com"))
			wantFailure(t, err, false, "535")
			if strings.Contains(err.Error(), "wrong password") {
				t.Error("the failure tells the password")
			}
		})
	}
}

// A server that does not encrypt, or that somebody else's certificate speaks
// for, gets neither mail nor password.
func TestSend_NeverInTheClear(t *testing.T) {
	plain := smtptest.Start(t, smtptest.Options{TLS: mail.NoTLS})
	_, err := transport(t, plain, func(to *mail.Server) { to.User, to.Password = "jeton", secret.New("smtp password of the tests") }).
		Send(t.Context(), message("ada@example.com"))
	wantFailure(t, err, false, "STARTTLS")

	s := smtptest.Start(t, smtptest.Options{})
	_, err = transport(t, s, func(to *mail.Server) { to.Roots = x509.NewCertPool() }).Send(t.Context(), message("ada@example.com"))
	wantFailure(t, err, false, "certificate")
	if n := len(plain.Mails()) + len(s.Mails()); n != 0 {
		t.Errorf("%d mails arrived", n)
	}
}

func wantFailure(t *testing.T, err error, permanent bool, text string) {
	t.Helper()
	f, ok := errors.AsType[*mail.Failure](err)
	if !ok || f.Permanent != permanent || !strings.Contains(f.Text, text) {
		t.Errorf("got %#v (%v), want permanent %v with %q", f, err, permanent, text)
	}
}

func TestSend_FailuresAreToldApart(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	tr := transport(t, s, nil)
	send := func(to string) error {
		_, err := tr.Send(t.Context(), message(to))
		return err
	}
	wantFailure(t, send("refuse@example.com"), true, "550 5.1.1")
	if text := send("refuse@example.com").Error(); strings.Contains(text, "refuse@example.com") || strings.Contains(text, "AZabc") {
		t.Errorf("the failure tells the address or the mail: %s", text)
	}
	wantFailure(t, send("spam@example.com"), true, "554 5.7.1")
	wantFailure(t, send("defer-1@example.com"), false, "451 4.7.1")
	if err := send("defer-1@example.com"); err != nil {
		t.Errorf("second try: %v", err)
	}
	// The server kept this one, and its answer was lost.
	wantFailure(t, send("vanish@example.com"), false, "")
	if err := send("vanish@example.com"); err != nil {
		t.Errorf("second try: %v", err)
	}
	var ids []string
	for _, m := range s.Wait(3) {
		if m.Envelope == "vanish@example.com" {
			ids = append(ids, m.Header.Get("Message-Id"))
		}
	}
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("one mail, sent twice, is named %q", ids)
	}
	s.Stop()
	wantFailure(t, send("ada@example.com"), false, "connect")
	s.Restart()
	if err := send("ada@example.com"); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func TestSend_OneConnectionForABatch(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	tr := transport(t, s, nil)
	for range 5 {
		if _, err := tr.Send(t.Context(), message("ada@example.com")); err != nil {
			t.Fatal(err)
		}
	}
	connections := map[string]bool{}
	for _, m := range s.Wait(5) {
		connections[m.Header.Get("X-Connection")] = true
	}
	if len(connections) != 1 {
		t.Errorf("%d connections for 5 mails", len(connections))
	}
	// A refused mail leaves the connection usable, and a broken one is replaced without a failure.
	_, err := tr.Send(t.Context(), message("refuse@example.com"))
	wantFailure(t, err, true, "550")
	s.Stop()
	s.Restart()
	if _, err := tr.Send(t.Context(), message("ada@example.com")); err != nil {
		t.Errorf("on a connection that was closed meanwhile: %v", err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := tr.Send(t.Context(), message("ada@example.com")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s.Wait(14)
}

// A server that says nothing holds a mail up for no longer than the timeout, or
// until the caller gives up.
func TestSend_SilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	port := l.Addr().(*net.TCPAddr).Port
	silent := mail.Server{Host: "127.0.0.1", Port: port, TLS: mail.NoTLS, From: "jeton@id.example.com", Timeout: 200 * time.Millisecond}
	tr, err := mail.NewTransport(silent)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tr.Send(t.Context(), message("ada@example.com"))
	wantFailure(t, err, false, "timeout")

	silent.Timeout = time.Hour
	if tr, err = mail.NewTransport(silent); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := tr.Send(ctx, message("ada@example.com")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestSend_HostileAddressesAndSubjects(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	tr := transport(t, s, nil)
	for _, to := range []string{
		"", "ada", "@example.com", "ada@", "ada@example.com\r\nBcc: eve@example.com", "ada@example.com, eve@example.com", "Ada <ada@example.com>",
		`"a b"@example.com`, "ada@example.com>\r\nRCPT TO:<eve@example.com", "ada\x00@example.com", "ada@exa mple.com", "ada@\u202eexample.com",
		"a(b)da@example.com", "ada@[127.0.0.1]", "ada;eve@example.com", strings.Repeat("a", 400) + "@example.com",
	} {
		_, err := tr.Send(t.Context(), message(to))
		wantFailure(t, err, true, "address cannot be used")
	}
	if _, err := tr.Send(t.Context(), message("ädä@example.com")); err == nil {
		t.Error("an address outside ASCII went to a server that cannot take it")
	}
	m := message("ada@bücher.example")
	m.Subject = "Hello\r\nBcc: eve@example.com\r\n\r\nbody \u202e=?utf-8?q?x?="
	if _, err := tr.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := s.Wait(1)
	if len(got) != 1 || got[0].Envelope != "ada@xn--bcher-kva.example" || got[0].Header.Get("Bcc") != "" ||
		got[0].Subject() != "Hello Bcc: eve@example.com body = ?utf-8?q?x?=" {
		t.Errorf("%d mails; to %q, Bcc %q, subject %q", len(got), got[0].Envelope, got[0].Header.Get("Bcc"), got[0].Subject())
	}

	utf8 := smtptest.Start(t, smtptest.Options{UTF8: true})
	tr = transport(t, utf8, nil)
	for _, to := range []string{"ädä@example.com", "ada@example.com"} {
		if _, err := tr.Send(t.Context(), message(to)); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	for _, m := range utf8.Wait(2) {
		if marked := strings.Contains(m.Header.Get("X-Mailoptions"), "SMTPUTF8"); marked != strings.HasPrefix(m.Envelope, "ädä") {
			t.Errorf("%s: SMTPUTF8 is %v", m.Envelope, marked)
		}
	}
}

func TestNewTransport_Refused(t *testing.T) {
	good := mail.Server{Host: "smtp.example.com", From: "jeton@example.com"}
	for name, change := range map[string]func(*mail.Server){
		"no host":             func(s *mail.Server) { s.Host = "" },
		"no sender":           func(s *mail.Server) { s.From = "" },
		"sender with a break": func(s *mail.Server) { s.From = "a@example.com\r\nBcc: b@example.com" },
		"two senders":         func(s *mail.Server) { s.From = "a@example.com, b@example.com" },
		"unknown mode":        func(s *mail.Server) { s.TLS = "ssl" },
		"clear, not loopback": func(s *mail.Server) { s.TLS = mail.NoTLS },
		"user, no password":   func(s *mail.Server) { s.User = "jeton" },
		"password, no user":   func(s *mail.Server) { s.Password = secret.New("x") },
		"port":                func(s *mail.Server) { s.Port = 70000 },
		"reply-to":            func(s *mail.Server) { s.ReplyTo = "nobody" },
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			change(&s)
			if _, err := mail.NewTransport(s); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := mail.NewTransport(good); err != nil {
		t.Error(err)
	}
}
