package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/style.css
var stylesheet []byte

// postScript is the only script of any page. The policy names its hash.
const postScript = "document.forms[0].submit()"

func scriptHash(script string) string {
	d := sha256.Sum256([]byte(script))
	return "sha256-" + base64.StdEncoding.EncodeToString(d[:])
}

// styleName is the stylesheet's file name: another content, another name, so
// that it can be kept forever.
func styleName() string {
	d := sha256.Sum256(stylesheet)
	return "style-" + hex.EncodeToString(d[:8]) + ".css"
}

type pages map[string]*template.Template

func loadPages() (pages, error) {
	out := pages{}
	for _, name := range []string{"signin", "select", "consent", "signout", "signedout", "notme", "notmedone", "home", "error", "leave", "post"} {
		t, err := template.ParseFS(templateFiles, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", name, err)
		}
		out[name] = t
	}
	return out, nil
}

// layout is what every page shows around its own part.
type layout struct {
	Title     string
	Place     string // what this place is called
	Home      string
	Style     string
	Base      string // prefix of our addresses
	Reference string // the request's name in the log
	Refresh   string // address a page goes on to by itself
	Script    template.JS
	Page      any
}

// show renders a page in full before it sends anything.
func (h *Handler) show(w http.ResponseWriter, r *http.Request, status int, name, title string, page any) error {
	data := layout{
		Title:     title,
		Place:     h.cfg.Name,
		Home:      h.prefix + "/",
		Style:     h.prefix + "/assets/" + h.style,
		Base:      h.prefix,
		Reference: h.cfg.RequestID(r.Context()),
		Page:      page,
	}
	switch name {
	case "leave":
		data.Refresh, _ = page.(string)
	case "post":
		data.Script = postScript
	}
	var b bytes.Buffer
	if err := h.pages[name].ExecuteTemplate(&b, "layout.html", data); err != nil {
		return fmt.Errorf("show page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader has gone: nobody to tell
	return nil
}

// asset serves the stylesheet.
func (h *Handler) asset(w http.ResponseWriter, r *http.Request) {
	h.setHeaders(w.Header())
	if r.PathValue("name") != h.style {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(stylesheet)
}
