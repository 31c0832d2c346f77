package cli

import (
	"encoding/json"
	"fmt"
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
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(columns, "\t"))
	for _, item := range items {
		fmt.Fprintln(w, strings.Join(cells(row(item)), "\t"))
	}
	return w.Flush()
}

// details prints one record as JSON or as name and value, a line each, leaving
// out what is empty.
func (a *app) details(record any, pairs ...string) error {
	if a.json {
		return a.printJSON(record)
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", pairs[i], printable(pairs[i+1]))
		}
	}
	return w.Flush()
}

// done says what was changed, to people.
func (a *app) done(format string, args ...any) {
	fmt.Fprintln(a.Err, printable(fmt.Sprintf(format, args...)))
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
