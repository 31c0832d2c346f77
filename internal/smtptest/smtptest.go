// Package smtptest runs a real mail server, aiosmtpd, as a process beside a test,
// and reads what arrived there.
package smtptest

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/installed"
)

//go:embed server.py
var script []byte

// Options say how the server speaks.
type Options struct {
	TLS            string // "starttls" (default), "tls" or "none"
	User, Password string // demanded if set
	UTF8           bool   // offers SMTPUTF8
}

// Server is the mail server and its mailbox, which outlives a stop.
type Server struct {
	Host   string
	Port   int    // the same after a restart
	CAFile string // PEM of the authority that signed its certificate

	t        testing.TB
	settings settings
	cmd      *exec.Cmd
	stderr   *bytes.Buffer
}

type settings struct {
	TLS       string `json:"tls"`
	Cert      string `json:"cert"`
	Key       string `json:"key"`
	User      string `json:"user"`
	Password  string `json:"password"`
	UTF8      bool   `json:"utf8"`
	Directory string `json:"directory"`
	Port      int    `json:"port"`
}

// Start runs a server until the test ends. Without aiosmtpd the test is skipped,
// or fails where everything must run.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	python, err := interpreter()
	if err != nil {
		installed.Missing(t, err.Error())
	}
	dir := t.TempDir()
	s := &Server{Host: "127.0.0.1", CAFile: filepath.Join(dir, "ca.pem"), t: t, settings: settings{
		TLS: o.TLS, User: o.User, Password: o.Password, UTF8: o.UTF8,
		Directory: filepath.Join(dir, "mail"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"),
	}}
	if s.settings.TLS == "" {
		s.settings.TLS = "starttls"
	}
	if err := certify(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "server.py"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(python, filepath.Join(dir, "server.py"))
	t.Cleanup(s.Stop)
	return s
}

// interpreter finds a Python that has aiosmtpd: Debian's, if another comes first
// on PATH.
var interpreter = sync.OnceValues(func() (string, error) {
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.Command(path, "-c", "import aiosmtpd").Run() == nil { // #nosec G204 -- one of the two above
			return path, nil
		}
	}
	return "", errors.New("there is no python3 with aiosmtpd (Debian: python3-aiosmtpd)")
})

func (s *Server) run(python, file string) {
	s.t.Helper()
	argument, err := json.Marshal(s.settings)
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.CommandContext(context.WithoutCancel(s.t.Context()), python, file, string(argument)) // #nosec G204 -- our own script
	s.stderr = &bytes.Buffer{}
	s.cmd.Stderr = s.stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = s.cmd.Wait()
		s.t.Fatalf("the mail server did not start: %v\n%s", err, s.stderr)
	}
	if s.Port, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		s.t.Fatal(err)
	}
	s.settings.Port = s.Port
}

// Stop kills the server. What it took is kept.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Restart runs it again after Stop, on the same port.
func (s *Server) Restart() {
	s.t.Helper()
	python, err := interpreter()
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(python, filepath.Join(filepath.Dir(s.settings.Directory), "server.py"))
}

// Mail is one that arrived.
type Mail struct {
	Header   mail.Header // as it stands there; see Subject
	Envelope string      // RCPT TO
	Text     string
	HTML     string
	Raw      string
}

// Subject is the decoded subject.
func (m Mail) Subject() string { return decoded(m.Header.Get("Subject")) }

func decoded(header string) string {
	s, err := new(mime.WordDecoder).DecodeHeader(header)
	if err != nil {
		return header
	}
	return s
}

// Mails returns what has arrived so far, oldest first.
func (s *Server) Mails() []Mail {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.settings.Directory, "new", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	type file struct {
		name string
		at   time.Time
	}
	var files []file
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			s.t.Fatal(err)
		}
		files = append(files, file{name, info.ModTime()})
	}
	slices.SortFunc(files, func(a, b file) int { return a.at.Compare(b.at) })
	var mails []Mail
	for _, f := range files {
		raw, err := os.ReadFile(f.name)
		if err != nil {
			s.t.Fatal(err)
		}
		m, err := parse(raw)
		if err != nil {
			s.t.Fatalf("%v in\n%s", err, raw)
		}
		mails = append(mails, m)
	}
	return mails
}

// Wait returns the mails once there are n, and fails after a minute.
func (s *Server) Wait(n int) []Mail {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		mails := s.Mails()
		if len(mails) >= n {
			return mails
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d mails arrived, want %d", len(mails), n)
		}
		time.Sleep(20 * time.Millisecond) // the server is a process of its own: there is nothing else to wait on
	}
}

func parse(raw []byte) (Mail, error) {
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Mail{}, err
	}
	m := Mail{Header: message.Header, Envelope: decoded(message.Header.Get("X-RcptTo")), Raw: string(raw)}
	media, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return Mail{}, err
	}
	if media != "multipart/alternative" {
		return Mail{}, errors.New("it is " + media)
	}
	for parts := multipart.NewReader(message.Body, parameters["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return Mail{}, err
		}
		if encoding := part.Header.Get("Content-Transfer-Encoding"); encoding != "quoted-printable" {
			return Mail{}, errors.New("a part is " + encoding)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return Mail{}, err
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			m.HTML = strings.ReplaceAll(string(body), "\r\n", "\n")
		} else {
			m.Text = strings.ReplaceAll(string(body), "\r\n", "\n")
		}
	}
}
