package revocation

import (
	"bytes"
	"errors"
	"io"
)

// MaxEvent is the longest event a [Decoder] accepts, in bytes.
const MaxEvent = 4 << 20

// ErrTooLong is returned by [Decoder.Next] for an event longer than [MaxEvent].
var ErrTooLong = errors.New("revocation: event is too long")

// Event is one server-sent event as it stood in the stream.
type Event struct {
	Name string // "message" when the stream named none
	ID   string // of this event itself, not of an earlier one
	Data []byte // lines joined by LF; valid until the next call of Next
}

// Decoder reads server-sent events (WHATWG HTML section 9.2) from a stream that may be cut anywhere. Lines
// end in LF, CR or CRLF; comments and unknown fields are skipped. An event is returned once its blank line
// has arrived, never before: what a broken connection leaves unfinished is dropped.
type Decoder struct {
	r io.Reader

	buf        []byte // buf[start:end] is read and not yet used; buf[start:scan] holds no end of line
	start, end int
	scan       int
	err        error // what the reader ended with

	begun  bool // something has been read: no byte order mark any more
	skipLF bool // the last line ended in CR: an LF that follows belongs to it
	name   string
	id     string
	data   []byte
	lines  int // data lines of the event being read
	dirty  bool
}

// NewDecoder returns a Decoder that reads from r.
func NewDecoder(r io.Reader) *Decoder { return &Decoder{r: r} }

// Next returns the next complete event. It returns io.EOF when the stream ends between events,
// io.ErrUnexpectedEOF when it ends inside one, [ErrTooLong], or the reader's own error.
func (d *Decoder) Next() (Event, error) {
	d.reset()
	for {
		line, err := d.line()
		if err == io.EOF && d.dirty { //nolint:errorlint // the value itself is the end; one that wraps it says more
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return Event{}, err
		}
		if len(line) == 0 {
			if d.lines == 0 {
				d.reset() // an event without data is none
				continue
			}
			return Event{Name: d.name, ID: d.id, Data: d.data}, nil
		}
		d.dirty = true
		if err := d.field(line); err != nil {
			return Event{}, err
		}
	}
}

func (d *Decoder) reset() {
	d.name, d.id, d.data, d.lines, d.dirty = "message", "", d.data[:0], 0, false
}

// field takes one line of an event.
func (d *Decoder) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(name) {
	case "event":
		d.name = string(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			d.id = string(value)
		}
	case "data":
		if len(d.data)+len(value)+1 > MaxEvent {
			return ErrTooLong
		}
		if d.lines > 0 {
			d.data = append(d.data, '\n')
		}
		d.data = append(d.data, value...)
		d.lines++
	}
	return nil
}

// line returns the next line without its end. The slice is valid until the next call.
func (d *Decoder) line() ([]byte, error) {
	for {
		for d.scan < d.end {
			c := d.buf[d.scan]
			if d.skipLF {
				d.skipLF = false
				if c == '\n' {
					d.start, d.scan = d.start+1, d.scan+1
					continue
				}
			}
			if c == '\n' || c == '\r' {
				line := d.buf[d.start:d.scan]
				d.scan++
				d.start = d.scan
				d.skipLF = c == '\r'
				if !d.begun {
					d.begun = true
					line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
				}
				return line, nil
			}
			d.scan++
		}
		if d.err != nil {
			if d.err == io.EOF && d.start < d.end { //nolint:errorlint // as above
				return nil, io.ErrUnexpectedEOF
			}
			return nil, d.err
		}
		if err := d.fill(); err != nil {
			return nil, err
		}
	}
}

func (d *Decoder) fill() error {
	if d.start > 0 {
		copy(d.buf, d.buf[d.start:d.end])
		d.end -= d.start
		d.scan -= d.start
		d.start = 0
	}
	if d.end == len(d.buf) {
		if d.end >= MaxEvent {
			return ErrTooLong
		}
		grown := make([]byte, max(4096, min(2*d.end, MaxEvent)))
		copy(grown, d.buf[:d.end])
		d.buf = grown
	}
	n, err := d.r.Read(d.buf[d.end:])
	d.end += n
	d.err = err // used once the bytes that came with it are
	return nil
}
