package jwt

import (
	"net/url"
	"strings"
)

// sameTarget compares the htu of a proof with the URL of the request: without
// query and fragment, after the normalisation of RFC 3986 sections 6.2.2 and
// 6.2.3 (RFC 9449 section 4.3 item 9). What is no URL equals nothing.
func sameTarget(htu, requested string) bool {
	htu, requested = withoutQuery(htu), withoutQuery(requested)
	a, ok := normalTarget(htu)
	if !ok {
		return false
	}
	if htu == requested {
		return true
	}
	b, ok := normalTarget(requested)
	return ok && a == b
}

// withoutQuery cuts query and fragment off.
func withoutQuery(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		return s[:i]
	}
	return s
}

// normalTarget is the one spelling of an http or https URL without query.
func normalTarget(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Hostname() == "" || u.Opaque != "" {
		return "", false
	}
	host := strings.ToLower(u.Host) // url.Parse has lowered the scheme
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", false
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, ":") + normalPath(u.EscapedPath()), true
}

// normalPath decodes what need not be escaped, writes the other escapes in
// capitals, and resolves dot segments.
func normalPath(escaped string) string {
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '%' || i+2 >= len(escaped) {
			b.WriteByte(escaped[i])
			continue
		}
		if c := unhex(escaped[i+1])<<4 | unhex(escaped[i+2]); unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(escaped[i : i+3]))
		}
		i += 2
	}
	return withoutDots(b.String())
}

// withoutDots is RFC 3986 section 5.2.4 for an absolute path. The empty path of
// a URL with a host is "/".
func withoutDots(path string) string {
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, s)
			continue
		}
		if last {
			kept = append(kept, "") // the slash before it stays
		}
	}
	return "/" + strings.Join(kept, "/")
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// unhex is the value of a digit that url.Parse has accepted.
func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
