package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/jetonhq/jeton/internal/provision"
)

// readFile lays the YAML file at path over c.
func readFile(path string, c any) []error {
	content, err := os.ReadFile(path)
	if err != nil {
		return []error{err}
	}
	file, err := parser.ParseBytes(content, 0)
	if err != nil {
		return []error{fmt.Errorf("%s:%w", filepath.Base(path), provision.Plain(err))}
	}
	r := reader{name: filepath.Base(path)}
	if len(file.Docs) > 1 {
		r.report(file.Docs[1].Body, "", errors.New("a second document: there can be only one"))
	}
	if len(file.Docs) > 0 {
		r.section(file.Docs[0].Body, reflect.ValueOf(c).Elem(), "")
	}
	return r.problems
}

// reader walks a file beside the struct, so that it can report every problem
// with its line instead of the first.
type reader struct {
	name     string // of the file
	problems []error
}

func (r *reader) report(at ast.Node, path string, err error) {
	line := 0
	if at != nil && at.GetToken() != nil && at.GetToken().Position != nil {
		line = at.GetToken().Position.Line
	}
	if path != "" {
		err = fmt.Errorf("%s: %w", path, err)
	}
	r.problems = append(r.problems, fmt.Errorf("%s:%d: %w", r.name, line, err))
}

// section reads a mapping into a struct. A key without a value leaves the
// defaults alone.
func (r *reader) section(node ast.Node, into reflect.Value, path string) {
	if node == nil || node.Type() == ast.NullType {
		return
	}
	mapping, ok := node.(ast.MapNode)
	if !ok {
		r.report(node, path, errors.New("want keys and values here"))
		return
	}
	fields := children(into, path)
	secretFrom := make(map[string]string) // secret → the key that gave it
	for entries := mapping.MapRange(); entries.Next(); {
		keyNode, value := entries.Key(), entries.Value()
		key := keyNode.GetToken().Value
		f, fromFile, known := find(fields, key)
		if !known {
			r.report(keyNode, path, unknownKey(key, fields))
			continue
		}
		if value == nil || value.Type() == ast.NullType {
			continue
		}
		if f.isSecret() {
			if text, err := scalar(value); err == nil && text == "" {
				continue
			}
			if other := secretFrom[f.key]; other != "" {
				r.report(keyNode, f.path, fmt.Errorf("given as %s too", other))
				continue
			}
			secretFrom[f.key] = key
		}
		switch {
		case f.isSection():
			r.section(value, f.value, f.path)
		case f.isDocument():
			r.document(value, f)
		default:
			r.setting(value, f, fromFile)
		}
	}
}

// find looks a key up; fromFile is true for the _file form of a secret.
func find(fields []field, key string) (f field, fromFile, known bool) {
	for _, f := range fields {
		if f.key == key {
			return f, false, true
		}
		if f.isSecret() && f.key+"_file" == key {
			return f, true, true
		}
	}
	return field{}, false, false
}

func unknownKey(key string, fields []field) error {
	var keys []string
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	return fmt.Errorf("unknown key %q; keys here are %s", key, strings.Join(keys, ", "))
}

func (r *reader) setting(node ast.Node, f field, fromFile bool) {
	texts, err := scalars(node, f.isList())
	if err != nil {
		r.report(node, f.path, err)
		return
	}
	if fromFile {
		v, err := readSecret(texts[0])
		if err != nil {
			r.report(node, f.path+"_file", err)
			return
		}
		texts[0] = v.Reveal()
	}
	if err := f.set(texts); err != nil {
		r.report(node, f.path, err)
	}
}

func (r *reader) document(node ast.Node, f field) {
	if err := yaml.NodeToValue(node, f.value.Addr().Interface(), yaml.Strict()); err != nil {
		r.problems = append(r.problems, fmt.Errorf("%s:%w", r.name, provision.Plain(err)))
	}
}

func scalars(node ast.Node, list bool) ([]string, error) {
	if !list {
		text, err := scalar(node)
		return []string{text}, err
	}
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		return nil, errors.New("want a list here")
	}
	texts := []string{}
	for _, item := range sequence.Values {
		text, err := scalar(item)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// scalar is the text of a plain value, as it was written.
func scalar(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, nil
	default:
		return "", errors.New("want a single value here")
	}
}
