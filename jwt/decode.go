package jwt

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Payload is the JSON the claims were read from, byte for byte; nil for claims
// that were not read from a token.
func (c *Claims) Payload() []byte {
	if c.payload == "" {
		return nil
	}
	return []byte(c.payload)
}

// Claim is one claim as JSON, by its exact name.
func (c *Claims) Claim(name string) (json.RawMessage, bool) {
	for member, value := range members(c.payload) {
		if member == name {
			return json.RawMessage(value), true
		}
	}
	return nil, false
}

// Decode decodes the claims into v as [json.Unmarshal] does, with one
// difference: a claim fills a field of a struct only if the names are exactly
// the same. encoding/json would let "ROLES" fill the field for "roles".
func (c *Claims) Decode(v any) error {
	if c.payload == "" {
		return errors.New("jwt: claims were not read from a token")
	}
	if err := json.Unmarshal(exactly(c.payload, v), v); err != nil {
		return fmt.Errorf("jwt: decoding claims: %w", err)
	}
	return nil
}

// members yields the members of an object that has been scanned before.
func members(payload string) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		sc := scanner{s: payload}
		for more := sc.open('{', '}'); more; more = sc.more('}') {
			name := sc.name()
			value := sc.skip(1)
			if sc.err != nil || !yield(name, value) {
				return
			}
		}
	}
}

// exactly leaves out members that encoding/json would match to a field of v by
// ignoring case.
func exactly(payload string, v any) []byte {
	t := reflect.TypeOf(v)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return []byte(payload)
	}
	names := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		names[name] = true
	}
	b := []byte{'{'}
	for name, value := range members(payload) {
		if !names[name] && foldedMatch(names, name) {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendString(b, name)
		b = append(b, ':')
		b = append(b, value...)
	}
	return append(b, '}')
}

func foldedMatch(names map[string]bool, name string) bool {
	for other := range names {
		if strings.EqualFold(other, name) {
			return true
		}
	}
	return false
}
