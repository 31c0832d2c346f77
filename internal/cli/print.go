package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// printJSON writes v for programs.
func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.Out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// table prints items as JSON or as rows below the columns' names.
func table[T any](a *app, items []T, columns []string, row func(T) []string) error {
	if a.json {
		if items == nil {
			items = []T{}
		}
		return a.printJSON(items)
	}
	var text strings.Builder
	text.WriteString(strings.Join(columns, "\t") + "\n")
	for _, item := range items {
		text.WriteString(strings.Join(cells(row(item)), "\t") + "\n")
	}
	return a.align(text.String())
}

// detail is one line about a record.
type detail struct{ name, value string }

// details prints one record as JSON or as name and value, a line each, leaving
// out what is empty.
func (a *app) details(record any, lines ...detail) error {
	if a.json {
		return a.printJSON(record)
	}
	var text strings.Builder
	for _, line := range lines {
		if line.value != "" {
			text.WriteString(line.name + "\t" + printable(line.value) + "\n")
		}
	}
	return a.align(text.String())
}

// align prints lines of cells that are separated by tabs.
func (a *app) align(text string) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Flush()
}

// print writes text to standard output.
func (a *app) print(text string) error {
	_, err := io.WriteString(a.Out, text)
	return err
}

// say tells people something beside the answer. That nobody hears it is no
// reason to fail.
func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Err, format, args...)
}

// done says what was changed, to people.
func (a *app) done(format string, args ...any) {
	a.say("%s\n", printable(fmt.Sprintf(format, args...)))
}

func cells(values []string) []string {
	out := make([]string, len(values))
	for i, value := range values {
		if out[i] = printable(value); value == "" {
			out[i] = "-"
		}
	}
	return out
}

// printable keeps what a stranger chose, such as a user agent, from moving the
// cursor or forging a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, s)
}

func list(values []string) string { return strings.Join(values, " ") }

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// collect reads a whole list.
func collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}
