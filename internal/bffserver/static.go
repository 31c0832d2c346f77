package bffserver

import (
	"cmp"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
)

// static serves the app's files. Nothing outside of the directory is reachable,
// also not by links, and nothing whose name begins with a dot.
type static struct {
	files    fs.FS
	server   http.Handler
	fallback bool
	policy   string
}

func newStatic(c Config) (*static, error) {
	root, err := os.OpenRoot(c.Static.Dir)
	if err != nil {
		return nil, err
	}
	s := &static{files: root.FS(), fallback: c.Static.Fallback}
	s.server = http.FileServerFS(s.files)
	// A form that signs out everywhere ends at the authority.
	form := "'self'"
	if u, err := url.Parse(c.Issuer); err == nil {
		form += " " + u.Scheme + "://" + u.Host
	}
	s.policy = cmp.Or(c.Static.ContentSecurityPolicy,
		"default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action "+form)
	return s, nil
}

func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", s.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	switch {
	case s.has(r.URL.Path):
		h.Set("Cache-Control", "no-cache") // may be stored, and is asked about
		s.server.ServeHTTP(w, r)
	case s.fallback && strings.Contains(r.Header.Get("Accept"), "text/html"):
		h.Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, s.files, "index.html")
	default:
		http.NotFound(w, r)
	}
}

// has reports whether a path is a file, or a directory with an index.
func (s *static) has(asked string) bool {
	name := strings.TrimPrefix(path.Clean("/"+asked), "/")
	for segment := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(segment, ".") && segment != ".well-known" {
			return false
		}
	}
	info, err := fs.Stat(s.files, cmp.Or(name, "."))
	if err == nil && info.IsDir() {
		info, err = fs.Stat(s.files, path.Join(name, "index.html"))
	}
	return err == nil && info.Mode().IsRegular() || errors.Is(err, fs.ErrPermission)
}
