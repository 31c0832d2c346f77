package mail

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, dir string) *Templates {
	t.Helper()
	templates, err := LoadTemplates(dir)
	if err != nil {
		t.Fatal(err)
	}
	return templates
}

func TestTemplates_EveryKindSaysWhatHappened(t *testing.T) {
	templates := load(t, "")
	subjects := map[string]Kind{}
	for _, k := range allKinds() {
		for i, l := range samples(k) {
			w, err := templates.Write(l)
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := subjects[w.Subject]; ok && other != k {
				t.Errorf("%s and %s have the same subject", k, other)
			}
			subjects[w.Subject] = k
			for _, fact := range l.Facts() {
				if !strings.Contains(w.Text, fact.Label+": "+fact.Value) {
					t.Errorf("%s %d: the text lacks %v", k, i, fact)
				}
				if !strings.Contains(w.HTML, fact.Label) {
					t.Errorf("%s %d: the HTML lacks %v", k, i, fact)
				}
			}
			if strings.Contains(w.HTML, "<&>") || strings.Contains(w.Text, "&amp;") || strings.Contains(w.HTML, "ZgotmplZ") {
				t.Errorf("%s %d: wrong escapes", k, i)
			}
			if strings.Contains(w.Text, "\n\n\n") {
				t.Errorf("%s %d: a hole in the text:\n%s", k, i, w.Text)
			}
		}
	}
}

var loads = regexp.MustCompile(`(?i)(src|background|poster|data|action)\s*=|url\(|@import|<(img|script|link|iframe|form|object|embed|base)\b|http-equiv`)

// Nothing in a mail is fetched when it is read, and the only links are to us.
func TestTemplates_NoRemoteContent(t *testing.T) {
	templates := load(t, "")
	for _, k := range allKinds() {
		w, err := templates.Write(samples(k)[0])
		if err != nil {
			t.Fatal(err)
		}
		if found := loads.FindString(w.HTML); found != "" {
			t.Errorf("%s: %q", k, found)
		}
		for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(w.HTML, -1) {
			if u, err := url.Parse(m[1]); err != nil || u.Host != "id.example.com" {
				t.Errorf("%s links to %s", k, m[1])
			}
		}
	}
}

func TestTemplates_OverriddenByADirectory(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("new_device.txt", `{{define "subject"}}Neues Gerät{{end}}{{define "body"}}Guten Tag.{{end}}`)
	put("notes.md", "not a template")
	w, err := load(t, dir).Write(samples(NewDevice)[1])
	if err != nil || w.Subject != "Neues Gerät" || !strings.Contains(w.Text, "Guten Tag.") || !strings.Contains(w.HTML, "Somebody signed in") {
		t.Errorf("%+v, %v", w, err)
	}
	for name, test := range map[string]struct{ file, content, want string }{
		"does not parse":      {"new_device.txt", `{{define "subject"}}x{{end}}{{define "body"}}{{if}}{{end}}`, "new_device.txt:1"},
		"unknown field":       {"new_device.html", `{{define "body"}}{{.Shoe}}{{end}}`, "Shoe"},
		"no body":             {"new_device.html", `Hello`, `"body"`},
		"no subject":          {"new_device.txt", `{{define "body"}}x{{end}}`, `"subject"`},
		"empty subject":       {"new_device.txt", `{{define "subject"}} {{end}}{{define "body"}}x{{end}}`, "subject of new_device is empty"},
		"layout without link": {"layout.txt", `{{template "body" .}}`, "does not show the link"},
		"misspelt name":       {"new_devise.txt", `x`, "new_devise.txt is the name of no template"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, test.file), []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := LoadTemplates(dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := LoadTemplates(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a directory that is not there is no error")
	}
}

func TestWords_AreHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"Ada Lovelace":                    "Ada Lovelace",
		"Grüße, 世界 🙂":                     "Grüße, 世界 🙂",
		"a\r\nBcc: eve@example.com":       "a Bcc: eve@example. com",
		"Pay at https://evil.example/now": "Pay at https:  evil. example now",
		"abc\u202e\u200bdef\x00":          "abcdef",
		"\xff\xfeAda":                     "Ada",
		"  \t ":                           "",
		strings.Repeat("x", 200):          strings.Repeat("x", 99) + "…",
	} {
		if got := words(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"203.0.113.0/24": "203.0.113.0/24", "2001:db8::/56": "2001:db8::/56", "<b>": "", "evil.example": ""} {
		if got := network(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLetter_TimesAreInUTC(t *testing.T) {
	l := Letter{At: time.Date(2026, time.March, 1, 23, 30, 0, 0, time.FixedZone("x", -2*3600))}
	if l.When() != "2 March 2026, 01:30 UTC" {
		t.Error(l.When())
	}
}
