package accounts

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const maxLogin = 254 // bytes; the longest e-mail address (RFC 5321)

// NormalizeLogin is the form in which logins are stored and compared: NFKC,
// lower case, without space around it. The error says what is wrong
// and does not repeat the login.
func NormalizeLogin(login string) (string, error) {
	if len(login) > 4*maxLogin { // normalising must not be a way to spend our time
		return "", fmt.Errorf("the login is longer than %d bytes", maxLogin)
	}
	if !utf8.ValidString(login) {
		return "", errors.New("the login is not UTF-8")
	}
	// Lower-casing can leave the normal form, so normalise last as well.
	login = strings.TrimSpace(norm.NFKC.String(strings.ToLower(norm.NFKC.String(login))))
	switch {
	case login == "":
		return "", errors.New("the login is empty")
	case len(login) > maxLogin:
		return "", fmt.Errorf("the login is longer than %d bytes", maxLogin)
	}
	for _, r := range login {
		// Format characters (zero width joiners, direction marks) make two logins look the same.
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return "", errors.New("the login has a control or invisible character")
		}
	}
	return login, nil
}
