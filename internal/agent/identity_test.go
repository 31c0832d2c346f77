package agent_test

import (
	"os"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/agent"
	"github.com/jetonhq/jeton/jetontest"
)

// identityHeaders are those that docs/agent.md names.
var identityHeaders = []string{"Jeton-Subject", "Jeton-Client", "Jeton-Scope", "Jeton-Token", "Jeton-Grant", "Jeton-Session"}

// A header that is not on the list would not be taken off what comes from outside.
func TestIdentity_List(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	w := ask(a, "GET", "/check", bearer(authority.Token(t)), nil)
	count := 0
	for name, values := range w.Header() {
		if strings.HasPrefix(name, "Jeton-") {
			count++
			if len(values) != 1 {
				t.Errorf("%s: %q", name, values)
			}
		}
	}
	if count != len(identityHeaders) {
		t.Errorf("%d headers, want %d: %v", count, len(identityHeaders), w.Header())
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range identityHeaders {
		if !strings.Contains(string(text), "`"+name+"`") || !strings.Contains(string(text), "remove: "+strings.ToLower(name)) {
			t.Errorf("%s does not list %s", page, name)
		}
	}
}

// What would arrive as something else is not sent at all.
func TestIdentity_Plain(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "ada": true, "a b": true, "!~": true, " a": false, "a ": false, "a\nb": false, "a\r\nJeton-Scope: admin": false,
		"a\tb": false, "a\x00": false, "a\x7f": false, "jürgen": false,
	} {
		if got := agent.Plain(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
