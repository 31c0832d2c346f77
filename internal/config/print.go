package config

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"reflect"
	"strings"
)

// manual is the source of the struct, whose comments are the settings' manual.
//
//go:embed config.go
var manual string

// Print writes the whole configuration with its defaults and comments, in the
// form that Load reads.
func Print(w io.Writer) error {
	comments, err := readComments()
	if err != nil {
		return err
	}
	out := new(strings.Builder)
	out.WriteString("# Configuration of `jeton serve`. Every key with its default.\n")
	out.WriteString("# The variable named beside a key overrides it, and a list in one is comma-separated.\n")
	c := Default()
	printer{out: out, comments: comments}.section(reflect.ValueOf(&c).Elem(), "", "")
	_, err = io.WriteString(w, out.String())
	return err
}

type printer struct {
	out      *strings.Builder
	comments map[string]string // by Go type and field
}

func (p printer) section(section reflect.Value, path, indent string) {
	for _, f := range children(section, path) {
		p.out.WriteString("\n")
		for line := range strings.Lines(p.comments[f.owner]) {
			fmt.Fprintf(p.out, "%s# %s\n", indent, strings.TrimSuffix(line, "\n"))
		}
		switch {
		case f.isSection():
			fmt.Fprintf(p.out, "%s%s:\n", indent, f.key)
			p.section(f.value, f.path, indent+"  ")
		case f.isDocument():
			fmt.Fprintf(p.out, "%s%s:\n", indent, f.key)
			for _, list := range []string{"clients", "resources", "accounts", "policies", "webhooks"} {
				fmt.Fprintf(p.out, "%s  %s: []\n", indent, list)
			}
		case f.isSecret():
			name := f.environment()
			fmt.Fprintf(p.out, "%s# Default: none. Environment: %s or %s_FILE.\n", indent, name, name)
			fmt.Fprintf(p.out, "%s%s: \"\"\n%s%s_file: \"\"\n", indent, f.key, indent, f.key)
		default:
			value := yamlText(f)
			shown := value
			if value == `""` || value == "[]" {
				shown = "none"
			}
			fmt.Fprintf(p.out, "%s# Default: %s. Environment: %s.\n", indent, shown, f.environment())
			fmt.Fprintf(p.out, "%s%s: %s\n", indent, f.key, value)
		}
	}
}

func yamlText(f field) string {
	if !f.isList() {
		return quoted(f.value)
	}
	var items []string
	for i := range f.value.Len() {
		items = append(items, quoted(f.value.Index(i)))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// quoted puts quotes around what YAML would not read as the same text.
func quoted(v reflect.Value) string {
	s := text(v)
	if v.Kind() == reflect.String && (s == "" || strings.ContainsAny(s, ":*#{}[],&!|>'\"%@` ")) {
		return `"` + s + `"`
	}
	return s
}

// readComments maps "Type.Field" to the field's doc comment.
func readComments() (map[string]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", manual, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("read the settings' comments: %w", err)
	}
	comments := make(map[string]string)
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if structure, ok := spec.Type.(*ast.StructType); ok {
			for _, member := range structure.Fields.List {
				for _, name := range member.Names {
					comments[spec.Name.Name+"."+name.Name] = member.Doc.Text()
				}
			}
		}
		return false
	})
	return comments, nil
}
