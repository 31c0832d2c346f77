package revocation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// chunkBytes is the size at which the encoders close an event and begin another. It keeps an event far
// below the decoder's limit and lets a receiver use the first part of a large snapshot early.
const chunkBytes = 128 << 10

// AppendDelta appends entries as one or more delta events. The entries must be consecutive in Seq. The
// bytes are the same for every subscriber, so a server encodes once and shares them. On error dst is
// returned unchanged and the error wraps [ErrMalformed].
func AppendDelta(dst []byte, incarnation string, entries []Entry) ([]byte, error) {
	if !validIncarnation(incarnation) || len(entries) == 0 {
		return dst, fmt.Errorf("%w: a delta needs an incarnation and entries", ErrMalformed)
	}
	for i := 1; i < len(entries); i++ {
		if entries[i].Seq != entries[i-1].Seq+1 {
			return dst, fmt.Errorf("%w: entries of a delta are not consecutive", ErrMalformed)
		}
	}
	out := dst
	for len(entries) > 0 {
		array, n, err := appendEntries(nil, entries)
		if err != nil {
			return dst, err
		}
		out = append(out, "event: delta\nid: "...)
		out = Cursor{incarnation, entries[n-1].Seq}.appendText(out)
		out = append(out, "\ndata: "...)
		out = append(out, array...)
		out = append(out, "\n\n"...)
		entries = entries[n:]
	}
	return out, nil
}

// AppendSnapshot appends the live entries of the log, complete up to seq, as snapshot events: parts
// numbered from 0, the last one marked and carrying the event id. Entries may be in any order and may skip
// numbers. On error dst is returned unchanged and the error wraps [ErrMalformed].
func AppendSnapshot(dst []byte, incarnation string, seq uint64, entries []Entry) ([]byte, error) {
	if !validIncarnation(incarnation) {
		return dst, fmt.Errorf("%w: incarnation", ErrMalformed)
	}
	for i := range entries {
		if entries[i].Seq > seq {
			return dst, fmt.Errorf("%w: entry of a snapshot is newer than the snapshot", ErrMalformed)
		}
	}
	out := dst
	for part := uint64(0); ; part++ {
		array, n, err := appendEntries(nil, entries)
		if err != nil {
			return dst, err
		}
		entries = entries[n:]
		end := len(entries) == 0
		out = append(out, "event: snapshot\n"...)
		if end {
			// Only a complete snapshot is a place to resume from.
			out = append(out, "id: "...)
			out = Cursor{incarnation, seq}.appendText(out)
			out = append(out, '\n')
		}
		out = append(out, `data: {"incarnation":"`...)
		out = append(out, incarnation...)
		out = append(out, `","seq":`...)
		out = strconv.AppendUint(out, seq, 10)
		out = append(out, `,"part":`...)
		out = strconv.AppendUint(out, part, 10)
		out = append(out, `,"end":`...)
		out = strconv.AppendBool(out, end)
		out = append(out, `,"entries":`...)
		out = append(out, array...)
		out = append(out, "}\n\n"...)
		if end {
			return out, nil
		}
	}
}

// AppendHeartbeat appends a heartbeat: the sender's log is at seq, and everything up to seq stands before
// this event in the stream. at is the sender's clock. incarnation must be a valid name (see [NewIncarnation]).
func AppendHeartbeat(dst []byte, incarnation string, seq uint64, at time.Time) []byte {
	dst = append(dst, `event: heartbeat`+"\n"+`data: {"incarnation":"`...)
	dst = append(dst, incarnation...)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, `,"time":`...)
	dst = strconv.AppendInt(dst, at.UnixMilli(), 10)
	return append(dst, "}\n\n"...)
}

// appendEntries appends a JSON array of as many entries as one event should hold, and reports how many.
func appendEntries(dst []byte, entries []Entry) (out []byte, n int, err error) {
	out = append(dst, '[')
	for n < len(entries) && (n == 0 || len(out)-len(dst) < chunkBytes) {
		if n > 0 {
			out = append(out, ',')
		}
		if out, err = appendEntry(out, entries[n]); err != nil {
			return dst, 0, err
		}
		n++
	}
	return append(out, ']'), n, nil
}

func appendEntry(dst []byte, e Entry) ([]byte, error) {
	if err := e.check(); err != nil {
		return dst, err
	}
	out := append(dst, `{"seq":`...)
	out = strconv.AppendUint(out, e.Seq, 10)
	out = append(out, `,"kind":"`...)
	if e.Kind == Unknown {
		out = append(out, e.KindName...)
	} else {
		out = append(out, e.Kind.String()...)
	}
	out = append(out, '"')
	if !e.ID.IsZero() {
		out = append(out, `,"id":"`...)
		out = e.ID.appendText(out)
		out = append(out, '"')
	}
	if e.Name != "" {
		out = appendString(append(out, `,"name":`...), e.Name)
	}
	if e.Reason != "" {
		out = appendString(append(out, `,"reason":`...), e.Reason)
	}
	if e.Until != 0 {
		out = strconv.AppendInt(append(out, `,"until":`...), e.Until, 10)
	}
	if len(e.Data) > 0 {
		// A line feed inside the value would end the event's line, so the value is written compactly.
		var compact bytes.Buffer
		if err := json.Compact(&compact, e.Data); err != nil {
			return dst, fmt.Errorf("%w: data is not JSON", ErrMalformed)
		}
		if compact.Len() > maxData {
			return dst, fmt.Errorf("%w: data is longer than %d bytes", ErrMalformed, maxData)
		}
		out = append(append(out, `,"data":`...), compact.Bytes()...)
	}
	return append(out, '}'), nil
}

// maxData is the longest Entry.Data, in bytes: with what may stand before it, an event stays below MaxEvent.
const maxData = 1 << 20

// appendString appends a JSON string. Reasons and kids are plain ASCII nearly always.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
