package mail

import (
	"errors"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

var errAddress = errors.New("it is not a mail address such as ada@example.com")

// ParseRecipient reads a bare address. What net/mail would accept besides, a
// display name, comments, quoted parts, several addresses, is refused: stored
// addresses come from people. The domain is in ASCII afterwards (RFC 5891).
func ParseRecipient(text string) (string, error) {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || len(text) > 320 || !utf8.ValidString(text) || strings.ContainsAny(text, `"\<>()[],;: `) ||
		strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return "", errAddress
	}
	domain, err := idna.Lookup.ToASCII(text[at+1:])
	if err != nil || domain == "" {
		return "", errAddress
	}
	parsed, err := mail.ParseAddress(text[:at] + "@" + domain)
	if err != nil || parsed.Address != text[:at]+"@"+domain {
		return "", errAddress
	}
	return parsed.Address, nil
}

// ParseSender reads an address that may have a display name: an operator's own.
func ParseSender(text string) (*mail.Address, error) {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return nil, errAddress
	}
	parsed, err := mail.ParseAddress(text)
	if err != nil {
		return nil, errAddress
	}
	if parsed.Address, err = ParseRecipient(parsed.Address); err != nil {
		return nil, err
	}
	return parsed, nil
}

// ascii reports whether an address needs no SMTPUTF8 (RFC 6531).
func ascii(address string) bool {
	return !strings.ContainsFunc(address, func(r rune) bool { return r > unicode.MaxASCII })
}
