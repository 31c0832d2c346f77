package cli_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/cli"
)

// answering runs a command against a server that gives one answer to all calls.
func answering(t *testing.T, status int, body string, args ...string) (code int, out, complaint string) {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		w.Write([]byte(body))
	}))
	defer web.Close()
	var stdout, stderr bytes.Buffer
	code = cli.Run(t.Context(), args, cli.Streams{
		In: strings.NewReader(""), Out: &stdout, Err: &stderr,
		Environ: []string{"JETON_MANAGE_URL=" + web.URL, "JETON_ADMIN_TOKEN=hidden"},
	}, cli.Commands{})
	return code, stdout.String(), stderr.String()
}

// What a stranger chose, such as a user agent, must not steer the terminal or
// forge a line of the table.
func TestTable_ShowsNoControlCharacters(t *testing.T) {
	const body = `{"items":[{"id":"s1","live":true,"user_agent":"evil\u001b[2J\nforged line\u202e"}]}`
	code, out, _ := answering(t, http.StatusOK, body, "session", "list")
	if code != 0 || strings.ContainsAny(out, "\x1b\u202e") || strings.Contains(out, "\nforged") {
		t.Errorf("exit code %d, output %q", code, out)
	}
	if !strings.Contains(out, "evil·[2J·forged line·") {
		t.Errorf("output %q", out)
	}
}

func TestExplain_ShowsNoControlCharacters(t *testing.T) {
	const body = `{"kind":"access token","claims":{"sub":"ann` + "\u202e" + `"},"checks":[{"name":"form","ok":true,"detail":"fine\u001b[2J"}]}`
	code, out, _ := answering(t, http.StatusOK, body, "token", "explain", "x")
	if code != 0 || strings.ContainsAny(out, "\x1b\u202e") {
		t.Errorf("exit code %d, output %q", code, out)
	}
	if !strings.Contains(out, `"sub": "ann·"`) || !strings.Contains(out, "fine·[2J") {
		t.Errorf("output %q", out)
	}
}

// An answer that could not be written is a failure.
func TestOutput_Lost(t *testing.T) {
	code := cli.Run(t.Context(), []string{"version"}, cli.Streams{In: strings.NewReader(""), Out: full{}, Err: io.Discard}, cli.Commands{})
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestErrors_ShowNoControlCharacters(t *testing.T) {
	code, _, complaint := answering(t, http.StatusConflict, `{"code":"conflict","message":"taken\u001b[2J"}`, "client", "list")
	if code != 1 || complaint != "jeton: taken·[2J\n" {
		t.Errorf("exit code %d, complaint %q", code, complaint)
	}
}

// The admin token goes to the server it is for, and to no other.
func TestRedirect_IsNotFollowed(t *testing.T) {
	code, _, complaint := answering(t, http.StatusTemporaryRedirect, "", "client", "list")
	if code != 1 || !strings.Contains(complaint, "admin API answered 307") {
		t.Errorf("exit code %d, complaint %q", code, complaint)
	}
}

func TestCommands_ThatAreMissing(t *testing.T) {
	code, _, complaint := answering(t, http.StatusOK, "", "serve")
	if code != 2 || !strings.Contains(complaint, "unknown command") {
		t.Errorf("exit code %d, complaint %q", code, complaint)
	}
}
