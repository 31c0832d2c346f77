package server_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
)

// docs/events.md has every type of event there is, once, and no other.
func TestEventsPage_HasEveryType(t *testing.T) {
	page, err := os.ReadFile("../../docs/events.md")
	must(t, err)
	rows := map[authority.EventType]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]+ \\|$").FindAllStringSubmatch(string(page), -1) {
		rows[authority.EventType(m[1])]++
	}
	types := authority.EventTypes()
	if len(types) < 50 {
		t.Fatalf("found only %d types in the source", len(types))
	}
	for _, kind := range types {
		if rows[kind] != 1 {
			t.Errorf("%s has %d rows, want 1", kind, rows[kind])
		}
		delete(rows, kind)
	}
	for kind := range rows {
		t.Errorf("there is no event %s", kind)
	}
}
