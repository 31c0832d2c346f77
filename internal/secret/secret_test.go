package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A secret printed in every way we know shows nothing.
func TestValueIsUnprintable(t *testing.T) {
	const s = "correct-horse"
	v := New(s)
	nested := struct {
		Name string
		V    Value
		P    *Value
		m    map[string]Value
	}{"n", v, &v, map[string]Value{"k": v}}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "v", v, "nested", nested, "p", &v, slog.Group("g", "v", v))
	}
	js, err := json.Marshal(nested)
	if err != nil {
		t.Fatal(err)
	}
	out := log.String() + string(js)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T", "%p"} {
		out += fmt.Sprintf(verb, v) + fmt.Sprintf(verb, nested) + fmt.Sprintf(verb, &nested) + fmt.Sprintf(verb, []Value{v})
	}
	out += fmt.Sprint(v, nested) + fmt.Errorf("wrap %v: %w", v, errors.New("x")).Error()
	for _, leak := range []string{s, fmt.Sprintf("%x", s)} {
		if strings.Contains(out, leak) {
			t.Fatalf("the secret was printed: %s", out)
		}
	}
	if v.Reveal() != s || !v.Equal(s) || v.Equal("other") {
		t.Fatal("Reveal or Equal is wrong")
	}
}

func TestIDOrderAndText(t *testing.T) {
	base := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	prev := NewID(base)
	for i := 1; i < 1000; i++ {
		id := NewID(base.Add(time.Duration(i) * time.Microsecond))
		if id.Compare(prev) <= 0 {
			t.Fatalf("id %d made later sorts earlier", i)
		}
		prev = id
	}
	id := NewID(base)
	if got := id.Time(); !got.Equal(base) {
		t.Errorf("Time = %v, want %v", got, base)
	}
	if id[6]>>4 != 7 || id[8]>>6 != 2 {
		t.Errorf("version or variant bits are wrong: %x", id)
	}
	back, err := ParseID(id.String())
	if err != nil || back != id {
		t.Fatalf("ParseID(String) = %v, %v", back, err)
	}
	if FirstID(base).Compare(id) > 0 || FirstID(base.Add(time.Millisecond)).Compare(id) <= 0 {
		t.Error("FirstID does not bound the ids of its time")
	}
	s := id.String()
	for _, bad := range []string{"", s[:21], s + "A", s[:21] + "\n", s[:20] + "==", strings.Repeat("A", 21) + "B"} {
		if _, err := ParseID(bad); !errors.Is(err, ErrID) {
			t.Errorf("ParseID(%q) accepted", bad)
		}
	}
}

func TestSealer(t *testing.T) {
	s, err := NewSealer(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealed := s.Seal([]byte("private"), "key/a")
	if got, err := s.Open(sealed, "key/a"); err != nil || string(got) != "private" {
		t.Fatalf("Open = %q, %v", got, err)
	}
	other, _ := NewSealer(bytes.Repeat([]byte{2}, 32))
	if _, err := other.Open(sealed, "key/a"); !errors.Is(err, ErrSeal) {
		t.Error("another key opened it")
	}
	if _, err := s.Open(sealed, "key/b"); !errors.Is(err, ErrSeal) {
		t.Error("it opened in another place")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := s.Open(bad, "key/a"); !errors.Is(err, ErrSeal) {
			t.Fatalf("byte %d changed and it still opened", i)
		}
		if _, err := s.Open(sealed[:i], "key/a"); !errors.Is(err, ErrSeal) {
			t.Fatalf("cut to %d bytes and it still opened", i)
		}
	}
	if _, err := NewSealer(make([]byte, 31)); err == nil {
		t.Error("a short master key was accepted")
	}
}
