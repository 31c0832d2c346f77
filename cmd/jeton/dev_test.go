package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/installed"
)

// running is a started `jeton dev`.
type running struct {
	*process
	config.DevFile
	transcript string
	data       string
}

// devFrom starts `jeton dev` on a data directory and waits for its transcript.
func devFrom(t *testing.T, data string) *running {
	t.Helper()
	p := launch(t, build(t), nil, "dev", "--data", data, "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0", "--manage-listen", "127.0.0.1:0")
	d := &running{process: p, data: data}
	for !strings.HasSuffix(d.transcript, "/login\n") {
		line, err := p.stdout.ReadString('\n')
		d.transcript += line
		if err != nil {
			t.Fatalf("jeton dev did not start: %v\n%s", err, p.log)
		}
	}
	var err error
	if d.DevFile, err = config.ReadDevFile(data); err != nil {
		t.Fatal(err)
	}
	for what, value := range d.secrets() {
		watched.Secret(what, value)
	}
	return d
}

func (d *running) secrets() map[string]string {
	return map[string]string{
		"admin token": d.AdminToken, "password": d.User.Password, "secret of machine": d.Clients.Machine.Secret,
		"secret of web": d.Clients.Web.Secret, "secret of bff": d.Clients.BFF.Secret, "secret of the resource": d.Resource.Secret,
	}
}

// shell finds a shell and curl, which the transcript and the documents need.
func shell(t *testing.T) string {
	t.Helper()
	installed.Program(t, "curl")
	installed.Program(t, "sed")
	return installed.Program(t, "sh")
}

// paste runs commands one by one in one shell, as somebody who pastes them
// does, and returns what each printed and its exit code.
func (d *running) paste(commands []string) (printed []string, codes []int) {
	d.t.Helper()
	const mark = "--8<--"
	var script strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&script, "%s\necho; echo \"%s $?\"\n", c, mark)
	}
	cmd := exec.CommandContext(d.t.Context(), shell(d.t), "-s") // #nosec G204 -- found on PATH
	cmd.Stdin = strings.NewReader(script.String())
	cmd.Dir = d.t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%v\n%s", err, out)
	}
	marked := regexp.MustCompile(mark + ` (\d+)\n`)
	rest := string(out)
	for range commands {
		at := marked.FindStringSubmatchIndex(rest)
		if at == nil {
			d.t.Fatalf("the shell stopped early:\n%s", out)
		}
		code, err := strconv.Atoi(rest[at[2]:at[3]])
		if err != nil {
			d.t.Fatal(err)
		}
		printed, codes, rest = append(printed, rest[:at[0]]), append(codes, code), rest[at[1]:]
	}
	return printed, codes
}

func TestDev_TranscriptWorksByPasting(t *testing.T) {
	d := devFrom(t, filepath.Join(t.TempDir(), "it's new")) // a name that a shell would take apart
	_, pasted, _ := strings.Cut(d.transcript, "one by one.")
	var commands []string
	for line := range strings.Lines(pasted) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "http") {
			commands = append(commands, line)
		}
	}
	printed, codes := d.paste(commands)
	for i, code := range codes {
		if code != 0 {
			t.Errorf("%s\nends with %d:\n%s", commands[i], code, printed[i])
		}
	}
	// What each command is there to show, in order.
	shows := [][]string{
		{}, {}, // token() and its first use print nothing
		{"HTTP/1.1 200 OK", "revenue"},
		{`"client_id": "machine"`, "  ok "},
		{"revoked"},
		{"HTTP/1.1 401", "Jeton-Reason: revoked"},
		{"max age 1s"},
		{"HTTP/1.1 401", "Jeton-Reason: too_old"},
		{"removed"},
		{"HTTP/1.1 200 OK", "revenue"},
		{},
		{"HTTP/1.1 200 OK", `"path":"/reports/7"`},
		{"HTTP/1.1 403", "Jeton-Reason: wrong_url"},
		{},
		{"HTTP/1.1 200 OK"},
		{"HTTP/1.1 401", "Jeton-Reason: no_uses_left"},
		{},
		{`"client":"bff"`},
		{"HTTP/1.1 200 OK", "revenue"},
		{"HTTP/1.1 401", "Jeton-Reason: sign_in_too_old", `max_age="300"`},
		{"HTTP/1.1 200 OK"},
		{},
		{"HTTP/1.1 401", "Jeton-Reason: session_ended"},
	}
	if len(commands) != len(shows) {
		t.Fatalf("%d commands, want %d: %q", len(commands), len(shows), commands)
	}
	for i, texts := range shows {
		for _, text := range texts {
			if !strings.Contains(printed[i], text) {
				t.Errorf("%s\ndoes not print %q:\n%s", commands[i], text, printed[i])
			}
		}
		if len(texts) == 0 && i < 2 && strings.TrimSpace(printed[i]) != "" {
			t.Errorf("taking a token prints %q", printed[i])
		}
		if strings.Contains(printed[i], "FAIL") {
			t.Errorf("a check of a good token fails:\n%s", printed[i])
		}
	}

	// The address for the browser leads to the sign-in page.
	page := get(t, http.DefaultClient, d.API+"/login")
	if !strings.Contains(page.body, `name="password"`) || !strings.HasPrefix(page.at.String(), d.Issuer) {
		t.Errorf("/login leads to %s:\n%s", page.at.Path, page.body)
	}
	if !strings.Contains(d.transcript, d.User.Login) || !strings.Contains(d.transcript, d.User.Password) {
		t.Error("the transcript does not say who can sign in")
	}
	d.wantStopped()
}

// The shape of dev.json is a promise to scripts.
func TestDev_File(t *testing.T) {
	data := filepath.Join(t.TempDir(), "new", "dir")
	d := devFrom(t, data)
	info, err := os.Stat(config.DevPath(data))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	content, err := os.ReadFile(config.DevPath(data))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	var got any
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"issuer": d.Issuer, "api": d.API, "manage": d.Manage, "admin_token": d.AdminToken,
		"user": map[string]any{"login": "alice", "password": d.User.Password},
		"clients": map[string]any{
			"machine": map[string]any{"id": "machine", "secret": d.Clients.Machine.Secret},
			"web":     map[string]any{"id": "web", "secret": d.Clients.Web.Secret, "redirect_uri": d.API + "/callback"},
			"spa":     map[string]any{"id": "spa", "redirect_uri": d.API + "/spa/callback"},
			"bff":     map[string]any{"id": "bff", "secret": d.Clients.BFF.Secret, "redirect_uri": d.API + "/auth/callback"},
		},
		"resource": map[string]any{"id": "reports-api", "secret": d.Resource.Secret, "audience": d.API},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("dev.json has another shape") // the difference holds secrets
	}
	for what, value := range d.secrets() {
		if len(value) < 40 {
			t.Errorf("%s has %d characters", what, len(value))
		}
	}
	for _, address := range []string{d.Issuer, d.API, d.Manage} {
		u, err := url.Parse(address)
		if err != nil || u.Hostname() != "127.0.0.1" || u.Port() == "0" || u.Port() == "" {
			t.Errorf("address %s, %v", address, err)
		}
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestDev_SecretsAreKeptAndDifferBetweenDirectories(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	first := devFrom(t, one)
	first.wantStopped()
	again := devFrom(t, one)
	other := devFrom(t, two)
	for what, value := range first.secrets() {
		if again.secrets()[what] != value {
			t.Errorf("a restart changed the %s", what)
		}
		if other.secrets()[what] == value {
			t.Errorf("two directories have the same %s", what)
		}
	}
	if sealing(t, one) == sealing(t, two) {
		t.Error("two directories have the same sealing key")
	}
	// They work after the restart, on whatever ports it has.
	if !post(t.Context(), again.Issuer+"/token", again.Clients.Machine, url.Values{"grant_type": {"client_credentials"}}, nil) {
		t.Error("the machine's secret does not work")
	}
	signIn(t, again.DevFile)

	// A lost dev.json is made anew, with secrets that work.
	again.wantStopped()
	if err := os.Remove(config.DevPath(one)); err != nil {
		t.Fatal(err)
	}
	anew := devFrom(t, one)
	if anew.User.Password == first.User.Password {
		t.Error("the password is the lost one")
	}
	signIn(t, anew.DevFile)
}

func sealing(t *testing.T, data string) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(data, "sealing.key"))
	if err != nil {
		t.Fatal(err)
	}
	watched.Secret("sealing key", string(key))
	return string(key)
}

func TestDev_ReadySoonAfterStart(t *testing.T) {
	data := t.TempDir()
	devFrom(t, data).wantStopped()
	manage := freeAddress(t)
	start := time.Now()
	p := launch(t, build(t), nil, "dev", "--data", data, "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0", "--manage-listen", manage)
	p.eventually("ready", func() bool { return answers(t, http.DefaultClient, "http://"+manage+"/readyz") == http.StatusOK })
	took := time.Since(start)
	t.Logf("ready after %v", took.Round(time.Millisecond))
	if took > 20*time.Second { // the aim is a second; a busy machine is no failure
		t.Errorf("ready after %v", took)
	}
}

// Ctrl-C while a request is under way: it is answered, streams end, readiness
// says no at once, and the process ends with 0.
func TestDev_InterruptDrains(t *testing.T) {
	d := devFrom(t, t.TempDir())
	stream := request(t.Context(), d.Issuer+"/revocations", config.DevClient{ID: d.Resource.ID, Secret: d.Resource.Secret}, nil)
	stream.Method, stream.Body, stream.ContentLength = http.MethodGet, nil, 0
	feed, err := http.DefaultClient.Do(stream)
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Body.Close()
	poll := stream.Clone(t.Context())
	poll.URL.RawQuery = "wait=30s&after=" + url.QueryEscape(position(t, feed.Body))
	polled := make(chan int, 1)
	go func() {
		resp, err := http.DefaultClient.Do(poll)
		if err != nil {
			polled <- 0
			return
		}
		resp.Body.Close()
		polled <- resp.StatusCode
	}()

	// Half of a token request, so that it is under way for as long as we like.
	u, err := url.Parse(d.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := "grant_type=client_credentials"
	head := request(t.Context(), d.Issuer+"/token", d.Clients.Machine, url.Values{"grant_type": {"client_credentials"}})
	_, err = fmt.Fprintf(conn, "POST /token HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		u.Host, head.Header.Get("Authorization"), len(body), body[:10])
	if err != nil {
		t.Fatal(err)
	}
	half := func() bool { // the server has begun with it when another one, sent later, is answered
		return post(t.Context(), d.Issuer+"/token", d.Clients.Machine, url.Values{"grant_type": {"client_credentials"}}, nil)
	}
	for range 2 {
		if !half() {
			t.Fatal("no token before the interrupt")
		}
	}

	d.interrupt()
	if _, err := io.Copy(io.Discard, feed.Body); err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
	if got := <-polled; got != http.StatusOK {
		t.Errorf("the long poll got %d", got)
	}
	if got := answers(t, http.DefaultClient, d.Manage+"/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("readiness while draining: %d, want 503", got)
	}
	if got := answers(t, http.DefaultClient, d.Manage+"/livez"); got != http.StatusOK {
		t.Errorf("liveness while draining: %d, want 200", got)
	}
	if _, err := io.WriteString(conn, body[10:]); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 OK")) || !bytes.Contains(answer, []byte("access_token")) {
		t.Errorf("the request under way got %.40q", answer)
	}
	if code := d.end(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, d.log)
	}
	if s := d.log.String(); strings.Contains(s, "goroutine ") || strings.Contains(s, "level=ERROR") {
		t.Errorf("it did not stop in order:\n%s", s)
	}
	integrity(t, filepath.Join(d.data, "jeton.db"))
}

// position reads the first event of a feed and returns its id.
func position(t *testing.T, feed io.Reader) string {
	t.Helper()
	var seen []byte
	b := make([]byte, 1)
	for {
		if _, err := feed.Read(b); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, b...)
		if m := regexp.MustCompile(`(?m)^id: ?(.+)\n`).FindSubmatch(seen); m != nil {
			return string(m[1])
		}
	}
}

func TestDev_RefusesToShare(t *testing.T) {
	d := devFrom(t, t.TempDir())
	second := func(data, listen string) *process {
		return launch(t, build(t), nil, "dev", "--data", data, "--listen", listen, "--api-listen", "127.0.0.1:0", "--manage-listen", "127.0.0.1:0")
	}
	t.Run("data directory", func(t *testing.T) {
		before := d.DevFile
		second(d.data, "127.0.0.1:0").wantRefused("in use by another process")
		if after, err := config.ReadDevFile(d.data); err != nil || after != before {
			t.Errorf("dev.json of the first changed: %v", err)
		}
	})
	t.Run("port", func(t *testing.T) {
		second(t.TempDir(), strings.TrimPrefix(d.Issuer, "http://")).wantRefused("address already in use")
	})
	t.Run("other machines", func(t *testing.T) {
		second(t.TempDir(), ":0").wantRefused("not loopback")
	})
	if !post(t.Context(), d.Issuer+"/token", d.Clients.Machine, url.Values{"grant_type": {"client_credentials"}}, nil) {
		t.Error("the first does not work any more")
	}
}
