// Package config is the server's configuration: one struct, one YAML file, one
// rule for the environment.
//
// [Load] starts from [Default], lays the file over it, and lays the environment
// over both. A setting's environment name is JETON_ and its path in upper case,
// joined by underscores: tokens.access_lifetime is JETON_TOKENS_ACCESS_LIFETIME.
// A secret can also stand in a file of its own, named by the same key followed
// by _file (or _FILE in the environment). Lists are comma-separated in the
// environment. A variable that is set to nothing counts as not set.
//
// The comment of a field in config.go is its manual: [Print] reads it from the
// source and writes it above the key. Every problem is reported at once, with
// its line or variable.
package config
