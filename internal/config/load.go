package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jetonhq/jeton/internal/secret"
)

// Load reads the file at path (none when path is "") and the environment, given
// as [os.Environ] does, and validates the result. The error holds every
// problem, joined.
func Load(path string, environ []string) (Config, error) {
	env := environment(environ)
	c := Default()
	var problems []error
	if path != "" {
		problems = append(problems, readFile(path, &c)...)
	}
	problems = append(problems, readEnvironment(env, prefix, &c)...)
	if err := c.Validate(); err != nil {
		problems = append(problems, err)
	}
	if err := c.Provision.Resolve(env.lookup); err != nil {
		problems = append(problems, fmt.Errorf("provision: %w", err))
	}
	if err := errors.Join(problems...); err != nil {
		return Config{}, err
	}
	return c, nil
}

type variables map[string]string

func environment(environ []string) variables {
	env := make(variables, len(environ))
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	return env
}

func (v variables) lookup(name string) (string, bool) {
	value, ok := v[name]
	return value, ok && value != ""
}

// readEnvironment lays the environment over c.
func readEnvironment(env variables, prefix string, c any) (problems []error) {
	for _, f := range settings(c) {
		name := f.variable(prefix)
		value, present := env.lookup(name)
		if f.isSecret() {
			file, fromFile := env.lookup(name + "_FILE")
			if present && fromFile {
				problems = append(problems, fmt.Errorf("%s: %s_FILE is set too", name, name))
				continue
			}
			if fromFile {
				v, err := readSecret(file)
				if err != nil {
					problems = append(problems, fmt.Errorf("%s_FILE: %w", name, err))
				}
				value, present = v.Reveal(), err == nil
			}
		}
		if !present {
			continue
		}
		texts := []string{value}
		if f.isList() {
			texts = splitList(value)
		}
		if err := f.set(texts); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	return problems
}

func splitList(value string) []string {
	var list []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// readSecret reads a secret that stands in a file of its own. The newline that
// editors add is no part of it.
func readSecret(path string) (secret.Value, error) {
	content, err := os.ReadFile(path) // #nosec G703 -- the operator names it
	if err != nil {
		return secret.Value{}, err
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return secret.Value{}, fmt.Errorf("file %s is empty", path)
	}
	return secret.New(text), nil
}
