package config

import "errors"

// Read lays a file (none when path is "") and the environment over c, a pointer
// to a struct like [Config], by the same rules as [Load]: strict keys, and
// variables that begin with prefix. It does not validate.
func Read(path string, environ []string, prefix string, c any) error {
	var problems []error
	if path != "" {
		problems = readFile(path, c)
	}
	return errors.Join(append(problems, readEnvironment(environment(environ), prefix, c)...)...)
}
