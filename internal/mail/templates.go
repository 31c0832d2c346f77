package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/jetonhq/jeton/internal/notme"
)

//go:embed templates
var shipped embed.FS

// Templates turn letters into mails. Each kind has two files: KIND.txt defines
// "subject" and "body", KIND.html defines "body"; layout.txt and layout.html
// stand around them.
type Templates struct {
	text map[Kind]*texttemplate.Template
	html map[Kind]*htmltemplate.Template
}

// LoadTemplates reads the templates: those in dir where it has them ("" is no
// directory), otherwise our own. It writes every mail once, so that a template
// that cannot be used is found now. Everything that is wrong is reported.
func LoadTemplates(dir string) (*Templates, error) {
	files := layered{}
	if dir != "" {
		files.own = os.DirFS(dir)
		if err := checkNames(dir); err != nil {
			return nil, fmt.Errorf("mail templates: %w", err)
		}
	}
	t := &Templates{make(map[Kind]*texttemplate.Template), make(map[Kind]*htmltemplate.Template)}
	var problems []error
	for _, k := range allKinds() {
		if err := t.load(files, k); err != nil {
			problems = append(problems, err)
			continue
		}
		for _, l := range samples(k) {
			if _, err := t.Write(l); err != nil {
				problems = append(problems, err)
				break
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("mail templates: %w", err)
	}
	return t, nil
}

// layered reads a file of the operator's, or ours.
type layered struct{ own fs.FS }

func (l layered) read(name string) (string, error) {
	if l.own != nil {
		b, err := fs.ReadFile(l.own, name)
		if !errors.Is(err, fs.ErrNotExist) {
			return string(b), err
		}
	}
	b, err := shipped.ReadFile("templates/" + name)
	return string(b), err
}

// checkNames refuses a directory with a template that nothing would use: its
// name is misspelt.
func checkNames(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var problems []error
	for _, entry := range entries {
		name := entry.Name()
		if ext := path.Ext(name); ext != ".txt" && ext != ".html" {
			continue
		}
		if _, err := shipped.Open("templates/" + name); err != nil {
			problems = append(problems, fmt.Errorf("%s is the name of no template", name))
		}
	}
	return errors.Join(problems...)
}

func (t *Templates) load(files layered, k Kind) error {
	var sources [4]string
	for i, name := range []string{"layout.txt", string(k) + ".txt", "layout.html", string(k) + ".html"} {
		var err error
		if sources[i], err = files.read(name); err != nil {
			return err
		}
	}
	text := texttemplate.New("layout.txt")
	if _, err := text.Parse(sources[0]); err != nil {
		return err
	}
	if _, err := text.New(string(k) + ".txt").Parse(sources[1]); err != nil {
		return err
	}
	html := htmltemplate.New("layout.html")
	if _, err := html.Parse(sources[2]); err != nil {
		return err
	}
	if _, err := html.New(string(k) + ".html").Parse(sources[3]); err != nil {
		return err
	}
	t.text[k], t.html[k] = text, html
	return nil
}

// Written is a letter in words.
type Written struct{ Subject, Text, HTML string }

// Write fills in the templates of the letter's kind.
func (t *Templates) Write(l Letter) (Written, error) {
	text, html := t.text[l.Kind], t.html[l.Kind]
	if text == nil || html == nil {
		return Written{}, fmt.Errorf("mail: there is no template %s", l.Kind)
	}
	var subject, plain, marked bytes.Buffer
	if err := text.ExecuteTemplate(&subject, "subject", l); err != nil {
		return Written{}, fmt.Errorf("mail: subject of %s: %w", l.Kind, err)
	}
	w := Written{Subject: cut(printable(subject.String()), maxWords)}
	if w.Subject == "" {
		return Written{}, fmt.Errorf("mail: the subject of %s is empty", l.Kind)
	}
	if err := text.Execute(&plain, l); err != nil {
		return Written{}, fmt.Errorf("mail: text of %s: %w", l.Kind, err)
	}
	if err := html.Execute(&marked, page{l, w.Subject}); err != nil {
		return Written{}, fmt.Errorf("mail: HTML of %s: %w", l.Kind, err)
	}
	w.Text, w.HTML = strings.TrimSpace(plain.String())+"\n", marked.String()
	if l.Link != "" && !(strings.Contains(w.Text, l.Link) && strings.Contains(w.HTML, htmltemplate.HTMLEscapeString(l.Link))) {
		return Written{}, fmt.Errorf("mail: %s does not show the link", l.Kind)
	}
	return w, nil
}

// page is a letter with its subject, which is the HTML's title.
type page struct {
	Letter
	Subject string
}

// samples are letters of a kind with everything, and with next to nothing.
func samples(k Kind) []Letter {
	at := time.Date(2026, time.February, 3, 4, 5, 6, 0, time.UTC)
	full := Letter{
		Kind: k, Place: "id.example.com", Issuer: "https://id.example.com", Name: "Ada <&> Lovelace", At: at,
		Device: "Firefox on Linux", Network: "203.0.113.0/24", App: "Notes & more",
		OtherDevice: "Chrome on Android", OtherNetwork: "198.51.100.0/24",
		By: "support", Reason: "ticket 42", Count: "120", ID: "AAAAAAAAAAAAAAAAAAAAAA", Former: true,
	}
	if slices.Contains(OwnerKinds, k) {
		full.Link, full.LinkUntil = "https://id.example.com/not-me?link=a.b.c", at.Add(notme.Lifetime)
	}
	return []Letter{full, {Kind: k, Place: "id.example.com", Issuer: "https://id.example.com", At: at}}
}
