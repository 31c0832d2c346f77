// Package columns says how values of the domain stand in columns, in SQLite and in
// PostgreSQL alike: times as Unix milliseconds, ids as bytes, lists as JSON.
package columns

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// How Go values become column values, and back. Milliseconds are cut off, so a
// stored expiry is never later than the one that was asked for.

// Millis is Unix milliseconds.
func Millis(t time.Time) int64 { return t.UnixMilli() }

// Stored is t as it is read back.
func Stored(t time.Time) time.Time { return time.UnixMilli(Millis(t)).UTC() }

// StoredAll is times as they are read back.
func StoredAll(times []time.Time) []time.Time {
	var out []time.Time
	for _, t := range times {
		out = append(out, Stored(t))
	}
	return out
}

// EndMillis is NULL for the zero time: the record is live.
func EndMillis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// Blob is NULL for the zero id.
func Blob(id secret.ID) any {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

// List is a JSON array of strings, never null.
func List(s []string) string {
	if len(s) == 0 {
		return "[]"
	}
	text, _ := json.Marshal(s) // strings always marshal
	return string(text)
}

// TimesText is a JSON array of Unix milliseconds, never null.
func TimesText(times []time.Time) string {
	stored := make([]int64, len(times))
	for i, t := range times {
		stored[i] = Millis(t)
	}
	text, _ := json.Marshal(stored) // numbers always marshal
	return string(text)
}

// Flag is 1 or 0, where there is no type for it.
func Flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Row is what scan functions need of a row that was read.
type Row interface{ Scan(dest ...any) error }

// ID reads an id; NULL is the zero id.
type ID secret.ID

func (c *ID) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*c = ID{}
		return nil
	case []byte:
		id, err := secret.IDFromBytes(v)
		*c = ID(id)
		return err
	}
	return fmt.Errorf("id column holds %T", v)
}

// Time reads Unix milliseconds; NULL is the zero time.
type Time time.Time

func (c *Time) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*c = Time{}
		return nil
	case int64:
		*c = Time(time.UnixMilli(v).UTC())
		return nil
	}
	return fmt.Errorf("time column holds %T", v)
}

// Duration reads milliseconds.
type Duration time.Duration

func (c *Duration) Scan(v any) error {
	ms, ok := v.(int64)
	if !ok {
		return fmt.Errorf("duration column holds %T", v)
	}
	*c = Duration(time.Duration(ms) * time.Millisecond)
	return nil
}

// Strings reads a JSON array of strings; an empty one is nil.
type Strings []string

func (c *Strings) Scan(v any) error {
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

// Times reads a JSON array of Unix milliseconds; an empty one is nil.
type Times []time.Time

func (c *Times) Scan(v any) error {
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

// Bytes fills an array of exactly the stored length.
type Bytes []byte

func (c Bytes) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != len(c) {
		return fmt.Errorf("byte column holds %T, want %d bytes", v, len(c))
	}
	copy(c, b)
	return nil
}

// LastID sorts after every id.
var LastID = secret.ID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// PageLimit applies the contract's default and maximum.
func PageLimit(p authority.Page) int64 {
	if p.Limit <= 0 {
		return 100
	}
	return int64(min(p.Limit, 1000))
}

// PageID reads the id that a page starts after; none is an id that sorts
// before, or for descending pages after, all others.
func PageID(p authority.Page, none secret.ID) (secret.ID, error) {
	if p.After == "" {
		return none, nil
	}
	id, err := secret.ParseID(p.After)
	if err != nil {
		return secret.ID{}, fmt.Errorf("page key: %w", err)
	}
	return id, nil
}

// JSON reads JSON that is passed on unread; NULL and the empty text are none.
type JSON []byte

func (c *JSON) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*c = nil
		return nil
	case string:
		*c = nil
		if v != "" {
			*c = []byte(v)
		}
		return nil
	}
	return fmt.Errorf("data column holds %T", v)
}
