package accounts

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/jetonhq/jeton/internal/secret"
)

const (
	maxPassword = 4096 // bytes; NIST asks for at least 64 characters
	minPieces   = 6
	product     = "jeton"
)

// common.txt holds words that bad passwords are made of. It is short on
// purpose: with a minimum of 15 characters nearly every entry of the published
// lists (the top 3,000 of ASVS 6.2.4 among them) is too short already, and what
// is left is these words repeated, run together or followed by digits, which
// pieces finds without listing every combination.
//
//go:embed common.txt
var commonFile string

// rows are keyboard rows and alphabets: three or more neighbours are a run.
var rows = []string{"qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop", "1234567890", "abcdefghijklmnopqrstuvwxyz"}

// normalizePassword is applied before hashing, always (NIST SP 800-63B-4: NFKC,
// so that one password typed on two keyboards is one password). It changes
// nothing else: no trimming, no cutting.
func normalizePassword(p secret.Value) (string, error) {
	s := p.Reveal()
	switch {
	case len(s) > maxPassword:
		return "", fmt.Errorf("the password is longer than %d bytes", maxPassword)
	case !utf8.ValidString(s):
		return "", errors.New("the password is not UTF-8")
	}
	return norm.NFKC.String(s), nil
}

// newPassword normalises a password that is about to be set and checks it:
// length and blocklist, nothing about its composition (NIST SP 800-63B-4). The
// error tells the person why and never shows the password.
func (s *Service) newPassword(p secret.Value, context ...string) (string, error) {
	password, err := normalizePassword(p)
	if err != nil {
		return "", err
	}
	if utf8.RuneCountInString(password) < s.cfg.MinPassword {
		return "", fmt.Errorf("the password is too short: it needs at least %d characters", s.cfg.MinPassword)
	}
	low := []rune(strings.ToLower(password))
	if unit := period(low); unit < len(low) && unit < s.cfg.MinPassword {
		return "", errors.New("the password repeats itself: it is as easy to guess as the part that repeats")
	}
	if pieces(low, words(context)) < minPieces {
		return "", errors.New("the password is made of common words, runs of characters, or your login or name: it is easy to guess")
	}
	return password, nil
}

// period is the length of the shortest unit that p repeats at least one and a
// half times, the last one cut off where p ends; or the length of p.
func period(p []rune) int {
	for n := 1; n*3 <= len(p)*2; n++ {
		repeats := true
		for i := n; i < len(p) && repeats; i++ {
			repeats = p[i] == p[i-n]
		}
		if repeats {
			return n
		}
	}
	return len(p)
}

// words are the common words, the product, and the parts of context (login,
// name, address) that have at least three characters.
func words(context []string) []string {
	list := append(strings.Fields(commonFile), product)
	for _, c := range context {
		c = strings.ToLower(norm.NFKC.String(c))
		list = append(list, c)
		list = append(list, strings.FieldsFunc(c, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })...)
	}
	return list
}

// pieces counts the different pieces p is made of, where a common word, a run
// (1234, fedc, qwer, 0000) and any other single character are one piece each.
// It is a guesser's view: what is one choice for him counts one.
func pieces(p []rune, words []string) int {
	plain := []rune(strings.Map(unleet, string(p)))
	seen := make(map[string]bool)
	for i := 0; i < len(p); {
		n := max(1, run(p[i:]))
		for _, w := range words {
			if size := utf8.RuneCountInString(w); size >= 3 && size > n && (hasPrefix(p[i:], w) || hasPrefix(plain[i:], w)) {
				n = size
			}
		}
		seen[string(plain[i:i+n])] = true
		i += n
	}
	return len(seen)
}

func hasPrefix(p []rune, w string) bool {
	for _, r := range w {
		if len(p) == 0 || p[0] != r {
			return false
		}
		p = p[1:]
	}
	return true
}

// run is the length of the longest run at the start of p, or 0 if it is
// shorter than 3: one character again and again, or neighbours in a row.
func run(p []rune) int {
	longest := 1
	for longest < len(p) && p[longest] == p[0] {
		longest++
	}
	for _, row := range rows {
		for _, step := range []int{1, -1} {
			at := strings.IndexRune(row, p[0])
			n := 0
			for at >= 0 && at < len(row) && n < len(p) && p[n] == rune(row[at]) {
				n, at = n+1, at+step
			}
			longest = max(longest, n)
		}
	}
	if longest < 3 {
		return 0
	}
	return longest
}

// unleet undoes the usual replacements of letters.
func unleet(r rune) rune {
	switch r {
	case '@', '4':
		return 'a'
	case '3', '€':
		return 'e'
	case '1', '!', '|':
		return 'i'
	case '0':
		return 'o'
	case '$', '5':
		return 's'
	case '7':
		return 't'
	default:
		return r
	}
}
