package mail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	gomail "github.com/wneessen/go-mail"
)

// Failure is why a mail was not taken. Its text is fit for a delivery log: it
// has the server's answer, and neither the address nor anything of the mail.
type Failure struct {
	Permanent bool // no later try can succeed: the server said 5xx about this mail, or its address cannot be used
	Text      string
}

func (f *Failure) Error() string { return "mail: " + f.Text }

// aboutUs are permanent answers that say nothing about a mail: we are to sign in
// first, or better (RFC 4954 section 6), which an operator mends.
var aboutUs = []int{530, 534, 535, 538}

// failed makes the error of a try. Until a server refuses this very mail, all
// that goes wrong may go right later.
func failed(ctx context.Context, to string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("mail: %w", ctx.Err())
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	f := &Failure{Text: err.Error()}
	if sendErr, ok := errors.AsType[*gomail.SendError](err); ok {
		f.Permanent = sendErr.ErrorCode() >= 500 && !slices.Contains(aboutUs, sendErr.ErrorCode())
		f.Text, _, _ = strings.Cut(f.Text, ", affected ") // the recipient and the message's name
	}
	f.Text = unquoted(f.Text)
	f.Text = cut(printable(strings.ReplaceAll(f.Text, to, "the address")), maxAnswer)
	return f
}

// unquoted gives the server's words without the quotes that net/textproto puts
// around them.
func unquoted(text string) string {
	before, quoted, ok := strings.Cut(text, ` "`)
	words, err := strconv.Unquote(`"` + quoted)
	if !ok || err != nil {
		return text
	}
	return before + " " + words
}

// maxAnswer bounds what is kept of a server's words, in characters.
const maxAnswer = 300

// printable puts a text on one line: no control characters, none that turn the
// direction of writing, nothing that is not UTF-8.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.C, r) || r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// cut shortens s to at most n characters.
func cut(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}
