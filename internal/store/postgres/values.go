package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// How Go values become column values, and back. Milliseconds are cut off, so a
// stored expiry is never later than the one that was asked for.

func millis(t time.Time) int64 { return t.UnixMilli() }

// endMillis is NULL for the zero time: the record is live.
func endMillis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// blob is NULL for the zero id.
func blob(id secret.ID) any {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

func list(s []string) string {
	if len(s) == 0 {
		return "[]"
	}
	text, _ := json.Marshal(s) // strings always marshal
	return string(text)
}

func timesText(times []time.Time) string {
	stored := make([]int64, len(times))
	for i, t := range times {
		stored[i] = millis(t)
	}
	text, _ := json.Marshal(stored) // numbers always marshal
	return string(text)
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// row is what scan functions need of a row.
type row interface{ Scan(dest ...any) error }

// idColumn reads an id; NULL is the zero id.
type idColumn secret.ID

func (c *idColumn) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*c = idColumn{}
		return nil
	case []byte:
		id, err := secret.IDFromBytes(v)
		*c = idColumn(id)
		return err
	}
	return fmt.Errorf("id column holds %T", v)
}

// timeColumn reads Unix milliseconds; NULL is the zero time.
type timeColumn time.Time

func (c *timeColumn) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*c = timeColumn{}
		return nil
	case int64:
		*c = timeColumn(time.UnixMilli(v).UTC())
		return nil
	}
	return fmt.Errorf("time column holds %T", v)
}

// durationColumn reads milliseconds.
type durationColumn time.Duration

func (c *durationColumn) Scan(v any) error {
	ms, ok := v.(int64)
	if !ok {
		return fmt.Errorf("duration column holds %T", v)
	}
	*c = durationColumn(time.Duration(ms) * time.Millisecond)
	return nil
}

// listColumn reads a JSON array of strings; an empty one is nil.
type listColumn []string

func (c *listColumn) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("list column holds %T", v)
	}
	*c = nil
	if text == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(text), (*[]string)(c))
}

// timesColumn reads a JSON array of Unix milliseconds; an empty one is nil.
type timesColumn []time.Time

func (c *timesColumn) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("times column holds %T", v)
	}
	*c = nil
	if text == "[]" {
		return nil
	}
	var stored []int64
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return err
	}
	for _, ms := range stored {
		*c = append(*c, time.UnixMilli(ms).UTC())
	}
	return nil
}

// bytesColumn fills an array of exactly the stored length.
type bytesColumn []byte

func (c bytesColumn) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != len(c) {
		return fmt.Errorf("byte column holds %T, want %d bytes", v, len(c))
	}
	copy(c, b)
	return nil
}

// lastID sorts after every id.
var lastID = secret.ID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// pageLimit applies the contract's default and maximum.
func pageLimit(p authority.Page) int64 {
	if p.Limit <= 0 {
		return 100
	}
	return int64(min(p.Limit, 1000))
}

// pageID reads the id that a page starts after; none is an id that sorts
// before, or for descending pages after, all others.
func pageID(p authority.Page, none secret.ID) (secret.ID, error) {
	if p.After == "" {
		return none, nil
	}
	id, err := secret.ParseID(p.After)
	if err != nil {
		return secret.ID{}, fmt.Errorf("page key: %w", err)
	}
	return id, nil
}
