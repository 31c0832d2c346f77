// Package estimate says what the statements of a migration would cost, for both SQL
// stores. Each names the forms of statement that its migrations are made of.
package estimate

import (
	"regexp"
	"strings"
)

// Form is a statement that is known by its beginning. The first group of the
// pattern is the table. In the cost {table} stands for that, and {size} for how
// much is in it.
type Form struct {
	Pattern *regexp.Regexp
	Cost    string
}

var comment = regexp.MustCompile(`(?m)[ \t]*--.*$`)

// Statements are the statements of a migration without its comments. No text in
// our migrations has two dashes or a semicolon.
func Statements(text string) string {
	var kept []string
	for line := range strings.Lines(comment.ReplaceAllString(text, "")) {
		if line = strings.TrimRight(line, " \t\n"); line != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// Costs says of each statement what it touches, by the first form that it has.
func Costs(text string, forms []Form, size func(table string) string) []string {
	var list []string
	for statement := range strings.SplitSeq(Statements(text), ";") {
		if statement = strings.TrimSpace(statement); statement != "" {
			list = append(list, cost(statement, forms, size))
		}
	}
	return list
}

func cost(statement string, forms []Form, size func(table string) string) string {
	for _, f := range forms {
		match := f.Pattern.FindStringSubmatch(statement)
		if match == nil {
			continue
		}
		text := strings.ReplaceAll(f.Cost, "{table}", match[1])
		if strings.Contains(text, "{size}") {
			text = strings.ReplaceAll(text, "{size}", size(match[1]))
		}
		return text
	}
	return "not known: read the SQL"
}
