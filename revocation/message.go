package revocation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// MessageType tells the events of the feed apart.
type MessageType uint8

const (
	// Other is an event this version does not know; receivers skip it.
	Other MessageType = iota
	// SnapshotPart is a piece of the set of live entries.
	SnapshotPart
	// Delta is one or more entries that follow each other.
	Delta
	// Heartbeat says that nothing is missing.
	Heartbeat
)

// Message is an event of the feed, understood.
type Message struct {
	Type        MessageType
	Incarnation string
	// Seq is, for a snapshot, the number it is complete up to; for a delta, that of its last entry; for a
	// heartbeat, that of the last entry before it.
	Seq     uint64
	Part    uint64    // snapshot: from 0
	End     bool      // snapshot: this is its last part
	Time    time.Time // heartbeat: the sender's clock
	Entries []Entry
}

// Message reads the content of a feed event strictly: what is wrong in any part is refused as a whole, with
// an error that wraps [ErrMalformed].
func (e Event) Message() (Message, error) {
	switch e.Name {
	case "snapshot":
		return e.snapshot()
	case "delta":
		return e.delta()
	case "heartbeat":
		return e.heartbeat()
	}
	return Message{Type: Other}, nil
}

func (e Event) snapshot() (Message, error) {
	var w struct {
		Incarnation string     `json:"incarnation"`
		Seq         uint64     `json:"seq"`
		Part        uint64     `json:"part"`
		End         bool       `json:"end"`
		Entries     entryArray `json:"entries"`
	}
	// Our own encoder puts the entries last. Read on their own they are read once, not once per nesting level.
	head, rest, _ := bytes.Cut(e.Data, []byte(`,"entries":`))
	array, closed := bytes.CutSuffix(rest, []byte{'}'})
	entries, ok := scanEntries(array)
	if ok && closed && decode(append(bytes.Clone(head), '}'), &w) == nil && w.Entries == nil {
		w.Entries = entries
	} else if err := decode(e.Data, &w); err != nil {
		return Message{}, err
	}
	m := Message{Type: SnapshotPart, Incarnation: w.Incarnation, Seq: w.Seq, Part: w.Part, End: w.End, Entries: w.Entries}
	if !validIncarnation(m.Incarnation) {
		return Message{}, fmt.Errorf("%w: incarnation", ErrMalformed)
	}
	if m.End && e.ID != (Cursor{m.Incarnation, m.Seq}).String() {
		return Message{}, fmt.Errorf("%w: id of a snapshot", ErrMalformed)
	}
	for i := range m.Entries {
		if m.Entries[i].Seq > m.Seq {
			return Message{}, fmt.Errorf("%w: entry of a snapshot is newer than the snapshot", ErrMalformed)
		}
	}
	return m, nil
}

func (e Event) delta() (Message, error) {
	at, err := ParseCursor(e.ID)
	if err != nil {
		return Message{}, err
	}
	entries, ok := scanEntries(e.Data)
	if !ok {
		if err := decode(e.Data, &entries); err != nil {
			return Message{}, err
		}
	}
	if len(entries) == 0 || entries[len(entries)-1].Seq != at.Seq {
		return Message{}, fmt.Errorf("%w: id of a delta is not that of its last entry", ErrMalformed)
	}
	for i := 1; i < len(entries); i++ {
		if entries[i].Seq != entries[i-1].Seq+1 {
			return Message{}, fmt.Errorf("%w: entries of a delta are not consecutive", ErrMalformed)
		}
	}
	return Message{Type: Delta, Incarnation: at.Incarnation, Seq: at.Seq, Entries: entries}, nil
}

func (e Event) heartbeat() (Message, error) {
	var w struct {
		Incarnation string `json:"incarnation"`
		Seq         uint64 `json:"seq"`
		Time        int64  `json:"time"`
	}
	if err := decode(e.Data, &w); err != nil {
		return Message{}, err
	}
	if !validIncarnation(w.Incarnation) || w.Time <= 0 {
		return Message{}, fmt.Errorf("%w: incarnation or time of a heartbeat", ErrMalformed)
	}
	return Message{Type: Heartbeat, Incarnation: w.Incarnation, Seq: w.Seq, Time: milliseconds(w.Time)}, nil
}

// milliseconds reads a time on the wire; zero is "not told".
func milliseconds(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// decode hides what was received: the text of a JSON error can quote it.
func decode(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: JSON", ErrMalformed)
	}
	return nil
}
