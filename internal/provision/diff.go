package provision

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/jetonhq/jeton/admin"
)

// differences compares two specs of one type, by the names they have on the
// wire. An empty list is the same as none.
func differences[T any](old, declared T) []admin.Field {
	var fields []admin.Field
	a, b := reflect.ValueOf(old), reflect.ValueOf(declared)
	for i := range a.NumField() {
		before, after := show(a.Field(i)), show(b.Field(i))
		if before != after {
			name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
			fields = append(fields, admin.Field{Name: name, Old: before, New: after})
		}
	}
	return fields
}

// show is the text of a setting, "" for its zero value.
func show(v reflect.Value) string {
	if v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 {
		return ""
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if b, err := m.MarshalText(); err == nil {
			return string(b)
		}
	}
	if v.Kind() == reflect.Pointer {
		if b, err := json.Marshal(v.Interface()); err == nil {
			return string(b)
		}
	}
	if v.Kind() == reflect.Slice {
		return strings.Join(v.Interface().([]string), " ")
	}
	return fmt.Sprint(v.Interface())
}
