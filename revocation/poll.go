package revocation

import (
	"fmt"
	"strconv"
	"time"
)

// Poll is the answer to a long poll: the JSON form of the feed for those who cannot stream.
type Poll struct {
	Incarnation string
	// Seq is the number everything in the log up to it is now known for, when the entries are added to
	// what the caller said it has.
	Seq uint64
	// Snapshot says that Entries are all live entries. Otherwise they follow the caller's cursor, number by number.
	Snapshot bool
	Time     time.Time // the sender's clock
	Entries  []Entry
}

// AppendPoll appends the JSON form. On error dst is returned unchanged and the error wraps [ErrMalformed].
func AppendPoll(dst []byte, p Poll) ([]byte, error) {
	if err := p.check(); err != nil {
		return dst, err
	}
	out := append(dst, `{"incarnation":"`...)
	out = append(out, p.Incarnation...)
	out = append(out, `","seq":`...)
	out = strconv.AppendUint(out, p.Seq, 10)
	out = append(out, `,"snapshot":`...)
	out = strconv.AppendBool(out, p.Snapshot)
	if !p.Time.IsZero() {
		out = append(out, `,"time":`...)
		out = strconv.AppendInt(out, p.Time.UnixMilli(), 10)
	}
	out = append(out, `,"entries":[`...)
	var err error
	for i := range p.Entries {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendEntry(out, p.Entries[i]); err != nil {
			return dst, err
		}
	}
	return append(out, "]}\n"...), nil
}

// ParsePoll reads the JSON form. The error wraps [ErrMalformed].
func ParsePoll(data []byte) (Poll, error) {
	var w struct {
		Incarnation string     `json:"incarnation"`
		Seq         uint64     `json:"seq"`
		Snapshot    bool       `json:"snapshot"`
		Time        int64      `json:"time"`
		Entries     entryArray `json:"entries"`
	}
	if err := decode(data, &w); err != nil {
		return Poll{}, err
	}
	p := Poll{Incarnation: w.Incarnation, Seq: w.Seq, Snapshot: w.Snapshot, Time: milliseconds(w.Time), Entries: w.Entries}
	return p, p.check()
}

func (p Poll) check() error {
	if !validIncarnation(p.Incarnation) {
		return fmt.Errorf("%w: incarnation", ErrMalformed)
	}
	for i := range p.Entries {
		if p.Entries[i].Seq > p.Seq {
			return fmt.Errorf("%w: entry is newer than the answer", ErrMalformed)
		}
		if !p.Snapshot && i > 0 && p.Entries[i].Seq != p.Entries[i-1].Seq+1 {
			return fmt.Errorf("%w: entries are not consecutive", ErrMalformed)
		}
	}
	if n := len(p.Entries); !p.Snapshot && n > 0 && p.Entries[n-1].Seq != p.Seq {
		return fmt.Errorf("%w: answer ends before its number", ErrMalformed)
	}
	return nil
}
