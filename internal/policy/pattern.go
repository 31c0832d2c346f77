package policy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Pattern is a path pattern of net/http.ServeMux, without host and method: "/reports",
// "/reports/{id}", "/files/{rest...}", "/files/" (everything below), "/{$}".
type Pattern struct {
	segments []segment
	rest     bool // whatever follows the segments matches, with at least the slash before it
	end      bool // "{$}": nothing but the slash before it follows
}

type segment struct {
	wild bool
	text string
}

var errPattern = errors.New("a path pattern begins with a slash and has no method, host, query or fragment")

var errNever = errors.New("no request has such a path: it has an empty or dot segment, or a bad escape")

// ParsePattern reads a pattern. What it accepts, ServeMux accepts, with the same meaning.
func ParsePattern(s string) (Pattern, error) {
	if !strings.HasPrefix(s, "/") || strings.ContainsAny(s, "?#") {
		return Pattern{}, errPattern
	}
	if err := registrable(s); err != nil {
		return Pattern{}, err
	}
	if _, err := url.PathUnescape(s); err != nil || Clean(s) != s {
		return Pattern{}, errNever
	}
	var p Pattern
	parts := strings.Split(s[1:], "/")
	for i, part := range parts {
		last := i == len(parts)-1
		switch {
		case last && part == "":
			p.rest = true
		case last && part == "{$}":
			p.end = true
		case last && strings.HasSuffix(part, "...}"):
			p.rest = true
		case strings.HasPrefix(part, "{"):
			p.segments = append(p.segments, segment{wild: true})
		default:
			p.segments = append(p.segments, segment{text: unescape(part)})
		}
	}
	return p, nil
}

// Everything reports whether the pattern matches every path.
func (p Pattern) Everything() bool { return p.rest && len(p.segments) == 0 }

// registrable asks ServeMux itself, which panics at what it does not take.
func registrable(s string) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("the path pattern is malformed: %v", problem)
		}
	}()
	http.NewServeMux().Handle(s, http.NotFoundHandler())
	return nil
}

// Match reports whether the pattern matches an escaped path (url.URL.EscapedPath) that [Clean] has passed. In
// one corner it matches more than ServeMux, which routes a last segment "%2F" to "{$}" and not to "{id}", where
// other routers do the opposite: here it is both.
func (p *Pattern) Match(escaped string) bool {
	for i := range p.segments {
		if len(escaped) < 2 || escaped[0] != '/' { // no segment, or an empty one
			return false
		}
		escaped = escaped[1:]
		length := strings.IndexByte(escaped, '/')
		if length < 0 {
			length = len(escaped)
		}
		if s := &p.segments[i]; !s.wild && s.text != escaped[:length] && s.text != unescape(escaped[:length]) {
			return false
		}
		escaped = escaped[length:]
	}
	switch {
	case p.rest:
		return escaped != ""
	case p.end:
		return escaped == "/" || len(escaped) > 1 && unescape(escaped[1:]) == "/"
	}
	return escaped == ""
}

func unescape(segment string) string {
	if strings.IndexByte(segment, '%') < 0 {
		return segment
	}
	if plain, err := url.PathUnescape(segment); err == nil {
		return plain
	}
	return segment
}

// Clean brings an escaped path to the form that ServeMux routes by: a request for "/a/../b" or "//b" must not
// slip past the policies for "/b". A path that is clean already costs no memory.
func Clean(escaped string) string {
	if clean(escaped) {
		return escaped
	}
	if escaped == "" || escaped[0] != '/' {
		escaped = "/" + escaped
	}
	cleaned := path.Clean(escaped)
	if strings.HasSuffix(escaped, "/") && cleaned != "/" {
		cleaned += "/"
	}
	return cleaned
}

func clean(escaped string) bool {
	if escaped == "" || escaped[0] != '/' {
		return false
	}
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '/' || i+1 == len(escaped) {
			continue
		}
		next := escaped[i+1]
		if next == '/' || next == '.' && dots(escaped[i+1:]) {
			return false
		}
	}
	return true
}

// dots reports whether a path begins with the segment "." or "..".
func dots(s string) bool {
	s = strings.TrimPrefix(s, ".")
	s = strings.TrimPrefix(s, ".")
	return s == "" || s[0] == '/'
}

// MethodMatches reports whether a policy for method (""  is any) applies to a request: as in ServeMux, GET
// includes HEAD.
func MethodMatches(method, request string) bool {
	return method == "" || method == request || method == http.MethodGet && request == http.MethodHead
}

// CheckMethod refuses what no request can have.
func CheckMethod(method string) error {
	for i := range len(method) {
		if c := method[i]; (c < 'A' || c > 'Z') && c != '-' {
			return errors.New("a method is upper-case letters, such as POST")
		}
	}
	return nil
}
