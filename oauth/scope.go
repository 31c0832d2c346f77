package oauth

import (
	"slices"
	"strings"
)

// Scope is a set of scope tokens in the order they were asked for.
type Scope []string

// ParseScope reads a scope parameter (OAuth 2.1 section 1.4.1): tokens of
// 0x21, 0x23-5B, 0x5D-7E joined by single spaces. ok is false when s is not of
// that form. Repeated tokens are kept once. The empty string is the empty scope.
func ParseScope(s string) (scope Scope, ok bool) {
	if s == "" {
		return nil, true
	}
	for token := range strings.SplitSeq(s, " ") {
		if token == "" {
			return nil, false
		}
		for i := range len(token) {
			if c := token[i]; c <= 0x20 || c == '"' || c == '\\' || c > 0x7e {
				return nil, false
			}
		}
		if !slices.Contains(scope, token) {
			scope = append(scope, token)
		}
	}
	return scope, true
}

// String joins the tokens with single spaces.
func (s Scope) String() string { return strings.Join(s, " ") }

// Has reports whether token is in the scope, compared whole and by case.
func (s Scope) Has(token string) bool { return slices.Contains(s, token) }

// Within reports whether every token of s is in wider.
func (s Scope) Within(wider Scope) bool {
	for _, t := range s {
		if !wider.Has(t) {
			return false
		}
	}
	return true
}

// Only returns the tokens of s that are in allowed, in the order of s.
func (s Scope) Only(allowed Scope) Scope {
	var out Scope
	for _, t := range s {
		if allowed.Has(t) {
			out = append(out, t)
		}
	}
	return out
}

// Without returns s less the token.
func (s Scope) Without(token string) Scope {
	var out Scope
	for _, t := range s {
		if t != token {
			out = append(out, t)
		}
	}
	return out
}

// Union returns the tokens of s followed by those of other that are not in s.
func (s Scope) Union(other Scope) Scope {
	out := slices.Clone(s)
	for _, t := range other {
		if !out.Has(t) {
			out = append(out, t)
		}
	}
	return out
}
