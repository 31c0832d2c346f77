package oauth

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// AuthChallenge is one challenge of a WWW-Authenticate header (RFC 9110 section
// 11.6.1). Scheme and names of parameters are lower case.
type AuthChallenge struct {
	Scheme string
	Params map[string]string
}

// ParseChallenges reads the values of WWW-Authenticate. Each of them may hold
// several challenges. What is malformed ends its value; what came before counts.
func ParseChallenges(values []string) []AuthChallenge {
	var all []AuthChallenge
	for _, value := range values {
		all = parseChallenges(value, all)
	}
	return all
}

func parseChallenges(s string, all []AuthChallenge) []AuthChallenge {
	current := -1 // of all: the one that parameters belong to
	for {
		s = strings.TrimLeft(s, " \t,")
		word, rest := cutToken(s)
		if word == "" {
			return all
		}
		if value, after, ok := cutParameter(rest); ok {
			if current < 0 {
				return all // a parameter of nothing
			}
			if after, ok = endsItem(after); !ok {
				return all
			}
			name := strings.ToLower(word)
			if _, twice := all[current].Params[name]; !twice {
				all[current].Params[name] = value
			}
			s = after
			continue
		}
		if rest != "" && rest[0] != ' ' && rest[0] != ',' {
			return all
		}
		all = append(all, AuthChallenge{Scheme: strings.ToLower(word), Params: make(map[string]string)})
		current = len(all) - 1
		s = rest
	}
}

// cutToken takes a token (RFC 9110 section 5.6.2) off the front.
func cutToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && (s[i] > ' ' && s[i] < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?={}`, rune(s[i]))) {
		i++
	}
	return s[:i], s[i:]
}

// cutParameter takes = and a value off the front.
func cutParameter(s string) (value, rest string, ok bool) {
	s, ok = strings.CutPrefix(strings.TrimLeft(s, " \t"), "=")
	if !ok {
		return "", "", false
	}
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest = cutToken(s)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false // without an end
}

// endsItem reports whether an element of a list ends here.
func endsItem(s string) (rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	return s, s == "" || s[0] == ','
}

// StepUp is what an API wants to know of a person's sign-in (RFC 9470 section 3).
type StepUp struct {
	ACRValues []string       // one of these; empty: in any way
	MaxAge    *time.Duration // since the sign-in, whole seconds; nil: any
	Scope     string         // that the API asks for besides; may be empty
}

// StepUpOf finds the challenge of an API that wants the person to sign in
// again, or better, among the values of WWW-Authenticate. ok is false when none
// says so.
func StepUpOf(values []string) (s StepUp, ok bool) {
	for _, c := range ParseChallenges(values) {
		if Code(c.Params["error"]) != InsufficientUserAuthentication {
			continue
		}
		s = StepUp{ACRValues: strings.Fields(c.Params["acr_values"]), Scope: c.Params["scope"]}
		if seconds, err := strconv.ParseUint(c.Params["max_age"], 10, 31); err == nil {
			s.MaxAge = new(time.Duration(seconds) * time.Second) // #nosec G115 -- below 2^31
		}
		return s, true
	}
	return StepUp{}, false
}

// AddTo sets the parameters of an authorization request that meet the challenge:
// acr_values and max_age. Scope is left to the caller, who knows what else the
// token is for.
func (s StepUp) AddTo(request url.Values) {
	if len(s.ACRValues) > 0 {
		request.Set("acr_values", strings.Join(s.ACRValues, " "))
	}
	if s.MaxAge != nil {
		request.Set("max_age", strconv.FormatInt(int64(*s.MaxAge/time.Second), 10))
	}
}
