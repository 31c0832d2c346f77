package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxSecret bounds what is read as a password, secret or token.
const maxSecret = 64 << 10

// hidden reads a secret: from file ("-" is standard input), or else from a
// prompt without echo. When standard input is no terminal its first line is the
// secret. With twice the person types it a second time.
func (a *app) hidden(file, label string, twice bool) (string, error) {
	switch file {
	case "":
		if terminal, ok := a.terminal(); ok {
			return a.ask(terminal, label, twice)
		}
		return firstLine(a.In, label)
	case "-":
		return firstLine(a.In, label)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read the %s: %w", label, err)
	}
	defer func() { _ = f.Close() }() // only read
	return firstLine(f, label)
}

func (a *app) terminal() (*os.File, bool) {
	f, ok := a.In.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd())) // #nosec G115 -- a descriptor is a small number
}

func (a *app) ask(terminal *os.File, label string, twice bool) (string, error) {
	typed, err := a.askOnce(terminal, label)
	if err != nil {
		return "", err
	}
	if typed == "" {
		return "", fmt.Errorf("no %s was given", label)
	}
	if !twice {
		return typed, nil
	}
	again, err := a.askOnce(terminal, label+" again")
	if err != nil {
		return "", err
	}
	if again != typed {
		return "", fmt.Errorf("the two are not the same; the %s was not changed", label)
	}
	return typed, nil
}

func (a *app) askOnce(terminal *os.File, label string) (string, error) {
	a.say("%s: ", strings.ToUpper(label[:1])+label[1:])
	typed, err := term.ReadPassword(int(terminal.Fd())) // #nosec G115 -- as above
	a.say("\n")
	if err != nil {
		return "", fmt.Errorf("read the %s: %w", label, err)
	}
	return string(typed), nil
}

func firstLine(r io.Reader, label string) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the %s: %w", label, err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", fmt.Errorf("no %s was given", label)
	}
	return line, nil
}
