package endpoint

import (
	"maps"
	"slices"
	"testing"
	"unicode/utf8"
)

// What a form decodes to has each parameter once (GEN-3), none empty (GEN-2),
// all of it UTF-8, and reads the same again when it is written.
func FuzzParseForm(f *testing.F) {
	for _, body := range []string{
		"", "a=b", "a=b&a=c", "a=&a=b", "a=", "a", "a=b&", "&", "%", "%zz=1", "a=%ff", "%ff=a", "a=b;c=d", "a=b+c%20d", "é=ü", "grant_type=client_credentials&scope=read",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := parseForm(body)
		if err != nil {
			return
		}
		for name, values := range form {
			if len(values) != 1 || values[0] == "" {
				t.Fatalf("%q has %d values, the first %q", name, len(values), form.Get(name))
			}
			if !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
				t.Fatalf("%q is not UTF-8", name)
			}
		}
		again, err := parseForm(form.Encode())
		if err != nil || !maps.EqualFunc(form, again, slices.Equal) {
			t.Fatalf("%v reads as %v when written again: %v", form, again, err)
		}
	})
}
