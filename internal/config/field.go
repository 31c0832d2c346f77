package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/provision"
	"github.com/jetonhq/jeton/internal/secret"
)

// field is one key of the configuration: a setting, or a section of settings.
type field struct {
	path  string // "tokens.access_lifetime"
	key   string // "access_lifetime"
	owner string // Go type and field, to find the comment
	value reflect.Value
}

// prefix begins the server's variables.
const prefix = "JETON_"

// environment is the name of a setting's variable.
func (f field) environment() string { return f.variable(prefix) }

func (f field) variable(prefix string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(f.path, ".", "_"))
}

var (
	durationType  = reflect.TypeFor[time.Duration]()
	secretType    = reflect.TypeFor[secret.Value]()
	provisionType = reflect.TypeFor[provision.File]()
)

func (f field) isSecret() bool { return f.value.Type() == secretType }

// isDocument: the provision section, and a map, have a shape of their own, which
// the environment cannot express.
func (f field) isDocument() bool {
	return f.value.Type() == provisionType || f.value.Kind() == reflect.Map
}

func (f field) isSection() bool {
	return f.value.Kind() == reflect.Struct && !f.isSecret() && !f.isDocument() && !f.hasText()
}

func (f field) isList() bool { return f.value.Kind() == reflect.Slice }

func (f field) hasText() bool {
	_, ok := f.value.Addr().Interface().(encoding.TextUnmarshaler)
	return ok
}

// children lists the keys of a section in the order of the struct.
func children(section reflect.Value, path string) []field {
	var fields []field
	for member, value := range section.Fields() {
		key := member.Tag.Get("yaml")
		f := field{path: key, key: key, owner: section.Type().Name() + "." + member.Name, value: value}
		if path != "" {
			f.path = path + "." + key
		}
		fields = append(fields, f)
	}
	return fields
}

// settings lists every setting below c.
func settings(c any) []field {
	var found []field
	var walk func(section reflect.Value, path string)
	walk = func(section reflect.Value, path string) {
		for _, f := range children(section, path) {
			switch {
			case f.isSection():
				walk(f.value, f.path)
			case !f.isDocument():
				found = append(found, f)
			}
		}
	}
	walk(reflect.ValueOf(c).Elem(), "")
	return found
}

// set gives a setting the value that texts spell: one text, or for a list any
// number. The error does not repeat the text of a secret.
func (f field) set(texts []string) error {
	if f.isList() {
		list := reflect.MakeSlice(f.value.Type(), len(texts), len(texts))
		for i, text := range texts {
			if err := setOne(list.Index(i), text); err != nil {
				return err
			}
		}
		f.value.Set(list)
		return nil
	}
	return setOne(f.value, texts[0])
}

func setOne(v reflect.Value, text string) error {
	if v.Type() == secretType {
		v.Set(reflect.ValueOf(secret.New(text)))
		return nil
	}
	if v.Type() == durationType {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 90s, 5m or 336h", text)
		}
		v.SetInt(int64(d))
		return nil
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("%q cannot be read: %w", text, err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		yes, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(yes)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(int64(n))
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(x)
	default:
		return fmt.Errorf("settings of type %s are not supported", v.Type())
	}
	return nil
}

// text is what set would read, for one value that is no secret and no list.
func text(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return shortDuration(value)
	case encoding.TextMarshaler:
		b, err := value.MarshalText()
		if err != nil {
			return ""
		}
		return strings.ToLower(string(b))
	default:
		return fmt.Sprint(value)
	}
}

// shortDuration leaves out the units that are zero: 336h, not 336h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
