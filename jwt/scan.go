package jwt

import (
	"github.com/jetonhq/jeton/jwk"
	"strconv"
	"unicode/utf8"
)

const (
	maxDepth     = 32      // objects and arrays inside each other
	maxSafeDate  = 1 << 53 // beyond it a JSON number is not exact everywhere
	maxKidBytes  = jwk.MaxIDLength
	smallNameset = 16
)

// scanner walks over one JSON text (RFC 8259) without reflection. It accepts
// less than encoding/json: no duplicate names at any level, no invalid UTF-8, no
// half of a surrogate pair. Strings without escapes are substrings of the text.
//
// The first fault sticks in err and moves i to the end, so that loops stop.
type scanner struct {
	s   string
	i   int
	err error
}

func (sc *scanner) fail(detail string) {
	if sc.err == nil {
		sc.err = malformed(detail)
	}
	sc.i = len(sc.s)
}

// peek skips white space and answers the next byte, 0 at the end.
func (sc *scanner) peek() byte {
	for sc.i < len(sc.s) {
		switch c := sc.s[sc.i]; c {
		case ' ', '\t', '\n', '\r':
			sc.i++
		default:
			return c
		}
	}
	return 0
}

// open takes the start of an object or array and reports whether it has members.
func (sc *scanner) open(start, end byte) bool {
	if sc.peek() != start {
		sc.fail("unexpected JSON value")
		return false
	}
	sc.i++
	if sc.peek() == end {
		sc.i++
		return false
	}
	return true
}

// more takes what follows a member: a comma, or the end.
func (sc *scanner) more(end byte) bool {
	switch c := sc.peek(); {
	case sc.err != nil:
		return false
	case c == ',':
		sc.i++
		return true
	case c == end:
		sc.i++
		return false
	}
	sc.fail("broken JSON")
	return false
}

// name takes a member's name and the colon.
func (sc *scanner) name() string {
	name := sc.text()
	if sc.err == nil && sc.peek() != ':' {
		sc.fail("broken JSON")
		return ""
	}
	sc.i++
	return name
}

// end checks that nothing follows.
func (sc *scanner) end() {
	if sc.err == nil && (sc.peek() != 0 || sc.i < len(sc.s)) {
		sc.fail("data after the JSON object")
	}
}

// text takes a string.
func (sc *scanner) text() string {
	if sc.peek() != '"' {
		sc.fail("unexpected JSON value")
		return ""
	}
	start := sc.i + 1
	for i := start; i < len(sc.s); i++ {
		switch c := sc.s[i]; {
		case c == '"':
			sc.i = i + 1
			return sc.s[start:i]
		case c == '\\':
			return sc.escaped(start, i)
		case c < ' ':
			sc.fail("control character in a JSON string")
			return ""
		}
	}
	sc.fail("unterminated JSON string")
	return ""
}

// escaped takes the rest of a string whose first escape is at i.
func (sc *scanner) escaped(start, i int) string {
	b := append([]byte(nil), sc.s[start:i]...)
	for i < len(sc.s) {
		c := sc.s[i]
		switch {
		case c == '"':
			sc.i = i + 1
			return string(b)
		case c < ' ':
			sc.fail("control character in a JSON string")
			return ""
		case c != '\\':
			b = append(b, c)
			i++
			continue
		}
		if i+1 >= len(sc.s) {
			break
		}
		c = sc.s[i+1]
		i += 2
		switch c {
		case '"', '\\', '/':
			b = append(b, c)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r, n := sc.unicode(i)
			if n == 0 {
				sc.fail("broken escape in a JSON string")
				return ""
			}
			b = utf8.AppendRune(b, r)
			i += n
		default:
			sc.fail("broken escape in a JSON string")
			return ""
		}
	}
	sc.fail("unterminated JSON string")
	return ""
}

// unicode reads the digits after \u at i, and the second half of a surrogate
// pair. n is the number of bytes read, 0 if they are no character.
func (sc *scanner) unicode(i int) (r rune, n int) {
	high, ok := hex4(sc.s, i)
	switch {
	case !ok || high >= 0xdc00 && high <= 0xdfff:
		return 0, 0
	case high < 0xd800 || high > 0xdfff:
		return high, 4
	}
	if i+6 > len(sc.s) || sc.s[i+4] != '\\' || sc.s[i+5] != 'u' {
		return 0, 0
	}
	low, ok := hex4(sc.s, i+6)
	if !ok || low < 0xdc00 || low > 0xdfff {
		return 0, 0
	}
	return 0x10000 + (high-0xd800)<<10 + (low - 0xdc00), 10
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[i : i+4]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number takes a number and answers how it is written.
func (sc *scanner) number() string {
	sc.peek()
	start, s := sc.i, sc.s
	i := start
	if i < len(s) && s[i] == '-' {
		i++
	}
	digits := func() bool {
		from := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > from
	}
	whole := i
	ok := digits() && (s[whole] != '0' || i == whole+1)
	if ok && i < len(s) && s[i] == '.' {
		i++
		ok = digits()
	}
	if ok && i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		ok = digits()
	}
	if !ok {
		sc.fail("unexpected JSON value")
		return ""
	}
	sc.i = i
	return s[start:i]
}

// date takes a NumericDate (RFC 7519 section 2): seconds since 1970, maybe with
// a fraction, neither negative nor above 2^53. part reports a fraction; the
// seconds are rounded down.
func (sc *scanner) date() (seconds int64, part bool) {
	written := sc.number()
	if sc.err != nil {
		return 0, false
	}
	if written[0] == '-' {
		sc.fail("negative time")
		return 0, false
	}
	plain := len(written) <= 16
	for i := 0; plain && i < len(written); i++ {
		c := written[i]
		plain = c >= '0' && c <= '9'
		seconds = seconds*10 + int64(c-'0')
	}
	if !plain {
		f, err := strconv.ParseFloat(written, 64)
		if err != nil || f > maxSafeDate {
			sc.fail("time out of range")
			return 0, false
		}
		seconds = int64(f)
		part = float64(seconds) != f
	}
	if seconds > maxSafeDate {
		sc.fail("time out of range")
		return 0, false
	}
	return seconds, part
}

// texts takes an array of strings. The result reuses into.
func (sc *scanner) texts(into []string) []string {
	if !sc.open('[', ']') {
		return into
	}
	for {
		into = append(into, sc.text())
		if !sc.more(']') {
			return into
		}
	}
}

// skip takes any value at the given depth, checks it, and answers its bytes.
func (sc *scanner) skip(depth int) string {
	c := sc.peek()
	start := sc.i
	switch c {
	case '{':
		sc.skipObject(depth)
	case '[':
		sc.skipArray(depth)
	case '"':
		sc.text()
	case 't':
		sc.word("true")
	case 'f':
		sc.word("false")
	case 'n':
		sc.word("null")
	default:
		sc.number()
	}
	if sc.err != nil {
		return ""
	}
	return sc.s[start:sc.i]
}

func (sc *scanner) skipObject(depth int) {
	if depth >= maxDepth {
		sc.fail("JSON is nested too deeply")
		return
	}
	var seen nameset
	if !sc.open('{', '}') {
		return
	}
	for {
		if name := sc.name(); sc.err == nil && !seen.add(name) {
			sc.fail("a JSON member appears twice")
		}
		sc.skip(depth + 1)
		if !sc.more('}') {
			return
		}
	}
}

func (sc *scanner) skipArray(depth int) {
	if depth >= maxDepth {
		sc.fail("JSON is nested too deeply")
		return
	}
	if !sc.open('[', ']') {
		return
	}
	for {
		sc.skip(depth + 1)
		if !sc.more(']') {
			return
		}
	}
}

func (sc *scanner) word(w string) {
	if len(sc.s)-sc.i < len(w) || sc.s[sc.i:sc.i+len(w)] != w {
		sc.fail("broken JSON")
		return
	}
	sc.i += len(w)
}

// nameset finds names that come twice. Up to sixteen names need no memory.
type nameset struct {
	few  [smallNameset]string
	n    int
	many map[string]struct{}
}

// add reports whether name is new.
func (set *nameset) add(name string) bool {
	if set.many != nil {
		if _, ok := set.many[name]; ok {
			return false
		}
		set.many[name] = struct{}{}
		return true
	}
	for _, other := range set.few[:set.n] {
		if other == name {
			return false
		}
	}
	if set.n < len(set.few) {
		set.few[set.n] = name
		set.n++
		return true
	}
	set.many = make(map[string]struct{}, 4*smallNameset)
	for _, other := range set.few {
		set.many[other] = struct{}{}
	}
	set.many[name] = struct{}{}
	return true
}
