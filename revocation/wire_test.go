package revocation

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseID_OneSpelling(t *testing.T) {
	id := number(7)
	text := id.String()
	if got, err := ParseID(text); err != nil || got != id {
		t.Fatalf("round trip: %v, %v", got, err)
	}
	last := text[21]
	for _, bad := range []string{"", text[:21], text + "A", text + "=", text[:21] + string(last+1), strings.Replace(text, "A", "+", 1),
		text[:20] + "\n" + text[20:21], "\r\n" + text[2:], text[:10] + "\n" + text[11:]} {
		if _, err := ParseID(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: got %v, want ErrMalformed", bad, err)
		}
	}
}

func TestParseCursor_OneSpelling(t *testing.T) {
	for _, c := range []Cursor{{"a", 0}, {"a-1_B", 18446744073709551615}, {NewIncarnation(), 42}} {
		if got, err := ParseCursor(c.String()); err != nil || got != c {
			t.Errorf("%v: got %v, %v", c, got, err)
		}
	}
	for _, bad := range []string{"", "a", "-1", "a-", "a-01", "a-+1", "a--1 ", "a b-1", "a-18446744073709551616", "é-1", "a\n-1",
		strings.Repeat("a", 65) + "-1"} {
		if c, err := ParseCursor(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: got %v, %v, want ErrMalformed", bad, c, err)
		}
	}
	if got := (Cursor{}).String(); got != "" {
		t.Errorf("zero: got %q", got)
	}
}

// recorded is a stream with everything in it.
func recorded(t testing.TB) (stream []byte, want []Message) {
	log := sampleLog(24, 1_900_000_000)
	stream, err := AppendSnapshot(nil, "life1", 16, log[:16])
	if err != nil {
		t.Fatal(err)
	}
	stream = append(stream, ": comment\n\n"...)
	at := time.UnixMilli(1_800_000_000_123)
	stream = AppendHeartbeat(stream, "life1", 16, at)
	if stream, err = AppendDelta(stream, "life1", log[16:17]); err != nil {
		t.Fatal(err)
	}
	if stream, err = AppendDelta(stream, "life1", log[17:24]); err != nil {
		t.Fatal(err)
	}
	return stream, []Message{
		{Type: SnapshotPart, Incarnation: "life1", Seq: 16, End: true, Entries: log[:16]},
		{Type: Heartbeat, Incarnation: "life1", Seq: 16, Time: at},
		{Type: Delta, Incarnation: "life1", Seq: 17, Entries: log[16:17]},
		{Type: Delta, Incarnation: "life1", Seq: 24, Entries: log[17:24]},
	}
}

func messages(r io.Reader) (list []Message, err error) {
	dec := NewDecoder(r)
	for {
		event, err := dec.Next()
		if err != nil {
			return list, err
		}
		m, err := event.Message()
		if err != nil {
			return list, err
		}
		list = append(list, m)
	}
}

func TestWire_RoundTrip(t *testing.T) {
	stream, want := recorded(t)
	for _, end := range []string{"\n", "\r", "\r\n"} {
		text := strings.ReplaceAll(string(stream), "\n", end)
		for name, r := range map[string]io.Reader{
			"whole":        strings.NewReader(text),
			"byte by byte": iotest.OneByteReader(strings.NewReader(text)),
			"halves":       iotest.HalfReader(strings.NewReader(text)),
			"data and EOF": iotest.DataErrReader(strings.NewReader(text)),
			"BOM":          strings.NewReader("\xef\xbb\xbf" + text),
		} {
			got, err := messages(r)
			if err != io.EOF {
				t.Errorf("%s, %q: got %v, want EOF", name, end, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %q (-want +got):\n%s", name, end, diff)
			}
		}
	}
}

// TestDecoder_NeverHalfAnEvent cuts the recorded stream at every byte, with each end of line.
func TestDecoder_NeverHalfAnEvent(t *testing.T) {
	stream, want := recorded(t)
	for _, end := range []string{"\n", "\r", "\r\n"} {
		text := strings.ReplaceAll(string(stream), "\n", end)
		for i := range len(text) + 1 {
			got, err := messages(strings.NewReader(text[:i]))
			if err != io.EOF && err != io.ErrUnexpectedEOF {
				t.Fatalf("cut at %d: %v", i, err)
			}
			if len(got) > len(want) || len(got) > 0 && !reflect.DeepEqual(got, want[:len(got)]) {
				t.Fatalf("cut at %d: half an event came through", i)
			}
			if err == io.EOF && i > 0 && !strings.ContainsAny(text[i-1:i], "\r\n") {
				t.Fatalf("cut at %d: lost bytes were not reported", i)
			}
		}
	}
}

func TestDecoder_Fields(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     []Event
		err      error
	}{
		{"default name, joined lines", "data: a\ndata:b\ndata:  c\n\n", []Event{{"message", "", []byte("a\nb\n c")}}, io.EOF},
		{"empty data line", "event: x\ndata\n\n", []Event{{"x", "", []byte("")}}, io.EOF},
		{"no data is no event", "event: x\nid: 1\n\ndata: y\n\n", []Event{{"message", "", []byte("y")}}, io.EOF},
		{"id belongs to its event only", "id: 1\ndata: x\n\ndata: y\n\n", []Event{{"message", "1", []byte("x")}, {"message", "", []byte("y")}}, io.EOF},
		{"id with NUL", "id: 1\x00\ndata: x\n\n", []Event{{"message", "", []byte("x")}}, io.EOF},
		{"comments, unknown fields", ":\n: c\nretry: 5\nfoo\ndata: x\n\n", []Event{{"message", "", []byte("x")}}, io.EOF},
		{"mixed ends", "data: a\rdata: b\r\ndata: c\n\r\n", []Event{{"message", "", []byte("a\nb\nc")}}, io.EOF},
		{"unfinished", "data: a\n", nil, io.ErrUnexpectedEOF},
		{"unfinished line", "data: a", nil, io.ErrUnexpectedEOF},
		{"empty", "", nil, io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in))} {
				got, err := events(r)
				if err != test.err {
					t.Errorf("error: got %v, want %v", err, test.err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func events(r io.Reader) (list []Event, err error) {
	dec := NewDecoder(r)
	for {
		e, err := dec.Next()
		if err != nil {
			return list, err
		}
		e.Data = append([]byte{}, e.Data...)
		list = append(list, e)
	}
}

// endless repeats a text.
type endless string

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e[i%len(e)]
	}
	return len(p), nil
}

func TestDecoder_Limits(t *testing.T) {
	for name, text := range map[string]endless{"one line": "x", "many lines": "data:x\n"} {
		t.Run(name, func(t *testing.T) {
			dec := NewDecoder(&aligned{r: text})
			if _, err := dec.Next(); err != ErrTooLong {
				t.Errorf("got %v, want ErrTooLong", err)
			}
			if held := cap(dec.buf) + cap(dec.data); held > 3*MaxEvent {
				t.Errorf("the decoder holds %d bytes", held)
			}
		})
	}
}

// aligned reads 7 bytes at a time, the length of the repeated line.
type aligned struct{ r io.Reader }

func (a *aligned) Read(p []byte) (int, error) {
	if len(p) < 7 {
		return a.r.Read(p)
	}
	return a.r.Read(p[:len(p)/7*7])
}

func TestMessage_Malformed(t *testing.T) {
	id := number(1).String()
	entry := `{"seq":1,"kind":"token","id":"` + id + `"}`
	for _, test := range []struct{ name, event, id, data string }{
		{"delta without id", "delta", "", "[" + entry + "]"},
		{"delta with another id", "delta", "a-2", "[" + entry + "]"},
		{"empty delta", "delta", "a-1", "[]"},
		{"delta is cut", "delta", "a-1", "[" + entry},
		{"delta skips", "delta", "a-3", `[` + entry + `,{"seq":3,"kind":"keys"}]`},
		{"delta goes back", "delta", "a-1", `[{"seq":2,"kind":"keys"},` + entry + `]`},
		{"seq 0", "delta", "a-0", `[{"seq":0,"kind":"keys"}]`},
		{"negative seq", "delta", "a-1", `[{"seq":-1,"kind":"keys"}]`},
		{"token without id", "delta", "a-1", `[{"seq":1,"kind":"token"}]`},
		{"zero id", "delta", "a-1", `[{"seq":1,"kind":"token","id":"AAAAAAAAAAAAAAAAAAAAAA"}]`},
		{"id with trailing bits", "delta", "a-1", `[{"seq":1,"kind":"token","id":"` + id[:21] + `B"}]`},
		{"key without name", "delta", "a-1", `[{"seq":1,"kind":"key"}]`},
		{"no kind", "delta", "a-1", `[{"seq":1}]`},
		{"kind with strange characters", "delta", "a-1", `[{"seq":1,"kind":"To ken"}]`},
		{"negative until", "delta", "a-1", `[{"seq":1,"kind":"keys","until":-1}]`},
		{"long reason", "delta", "a-1", `[{"seq":1,"kind":"keys","reason":"` + strings.Repeat("x", 257) + `"}]`},
		{"snapshot without incarnation", "snapshot", "", `{"seq":1,"part":0,"end":false,"entries":[]}`},
		{"end of a snapshot without id", "snapshot", "", `{"incarnation":"a","seq":1,"part":0,"end":true,"entries":[]}`},
		{"entry newer than the snapshot", "snapshot", "a-0", `{"incarnation":"a","seq":0,"part":0,"end":true,"entries":[` + entry + `]}`},
		{"heartbeat without time", "heartbeat", "", `{"incarnation":"a","seq":1}`},
		{"heartbeat without incarnation", "heartbeat", "", `{"seq":1,"time":1}`},
		{"not JSON", "heartbeat", "", `secret`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Event{test.event, test.id, []byte(test.data)}.Message()
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, want ErrMalformed", err)
			}
		})
	}
	if m, err := (Event{"tomorrow", "", []byte("?")}).Message(); err != nil || m.Type != Other {
		t.Errorf("unknown event: got %v, %v", m, err)
	}
}

func TestAppend_Refuses(t *testing.T) {
	ok := token(1, number(1))
	for name, err := range map[string]error{
		"gap":          second(AppendDelta(nil, "a", []Entry{ok, token(3, number(3))})),
		"none":         second(AppendDelta(nil, "a", nil)),
		"incarnation":  second(AppendDelta(nil, "a\nb", []Entry{ok})),
		"data":         second(AppendDelta(nil, "a", []Entry{{Seq: 1, Kind: Policy, Data: []byte("{")}})),
		"zero id":      second(AppendDelta(nil, "a", []Entry{{Seq: 1, Kind: Token}})),
		"no kind":      second(AppendDelta(nil, "a", []Entry{{Seq: 1}})),
		"newer":        second(AppendSnapshot(nil, "a", 0, []Entry{ok})),
		"poll gap":     second(AppendPoll(nil, Poll{Incarnation: "a", Seq: 3, Entries: []Entry{ok, token(3, number(3))}})),
		"poll is late": second(AppendPoll(nil, Poll{Incarnation: "a", Seq: 2, Entries: []Entry{ok}})),
	} {
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
}

func second(_ []byte, err error) error { return err }

// TestAppendDelta_DataWithLineFeeds: JSON may be spread over lines; an event's line may not.
func TestAppendDelta_DataWithLineFeeds(t *testing.T) {
	in := Entry{Seq: 1, Kind: Policy, Name: "p\r\nevent: x", Data: []byte("{\n \"a\" :\r\n\"b\\nc\"}")}
	stream, err := AppendDelta(nil, "a", []Entry{in})
	if err != nil {
		t.Fatal(err)
	}
	got, err := messages(bytes.NewReader(stream))
	if err != io.EOF || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	in.Data = []byte(`{"a":"b\nc"}`)
	if diff := cmp.Diff(in, got[0].Entries[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAppend_LargeListsAreSplit(t *testing.T) {
	log := make([]Entry, 20_000)
	for i := range log {
		log[i] = Entry{Seq: uint64(i + 1), Kind: Session, ID: number(i + 1), Reason: "logout", Until: 1_900_000_000}
	}
	snapshot, err := AppendSnapshot(nil, "a", 20_000, log)
	if err != nil {
		t.Fatal(err)
	}
	delta, err := AppendDelta(nil, "a", log)
	if err != nil {
		t.Fatal(err)
	}
	for name, stream := range map[string][]byte{"snapshot": snapshot, "delta": delta} {
		list, err := messages(bytes.NewReader(stream))
		if err != io.EOF {
			t.Fatal(err)
		}
		var got []Entry
		for i, m := range list {
			got = append(got, m.Entries...)
			if name == "snapshot" && (m.Part != uint64(i) || m.End != (i == len(list)-1)) {
				t.Errorf("part %d is marked %d, end %v", i, m.Part, m.End)
			}
		}
		if len(list) < 10 || !cmp.Equal(log, got) {
			t.Errorf("%s: %d events, %d entries", name, len(list), len(got))
		}
	}
}

func TestPoll_RoundTrip(t *testing.T) {
	for _, p := range []Poll{
		{Incarnation: "a", Seq: 24, Snapshot: true, Time: time.UnixMilli(5), Entries: sampleLog(24, 9)},
		{Incarnation: "a", Seq: 24, Entries: sampleLog(24, 9)[20:]},
		{Incarnation: "a", Seq: 24, Entries: []Entry{}},
	} {
		data, err := AppendPoll(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePoll(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestScan_AgreesWithJSON: the fast way reads what encoding/json reads, and leaves alone what it cannot.
func TestScan_AgreesWithJSON(t *testing.T) {
	id := number(1).String()
	for _, test := range []struct {
		in   string
		fast bool
	}{
		{`[]`, true},
		{`[{"seq":1,"kind":"token","id":"` + id + `","reason":"x","until":5}]`, true},
		{`[{"seq":1,"kind":"key","name":"k"},{"seq":2,"kind":"keys"}]`, true},
		{`[{"seq":1,"kind":"token","id":"` + id + `","x":1}]`, false},
		{`[ {"seq":1,"kind":"keys"}]`, false},
		{`[{"seq":1,"kind":"keys","reason":"\u0041"}]`, false},
		{`[{"seq":1,"kind":"keys","until":5},]`, false},
		{`[{"seq":01,"kind":"keys"}]`, false},
		{`[{"seq":99999999999999999999,"kind":"keys"}]`, false},
		{`[{"seq":1,"kind":"keys"}`, false},
		{`[{"seq":1,"kind":"keys"}]]`, false},
		{`[{"seq":1,"kind":"new"}]`, false},
		{``, false},
	} {
		if _, ok := scanEntries([]byte(test.in)); ok != test.fast {
			t.Errorf("%s: fast %v, want %v", test.in, ok, test.fast)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	stream, _ := recorded(f)
	f.Add(stream, uint8(1))
	f.Add([]byte("data: a\r\rdata: b\r\n\r\n:x\n\nid: 1\x00\nevent\ndata\n\n"), uint8(3))
	f.Add([]byte("event: delta\nid: a-1\ndata: [{\"seq\":1,\"kind\":\"zz\"}]\n\n"), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		whole, wholeErr := events(bytes.NewReader(in))
		parts, partsErr := events(&stepReader{in, int(step%16) + 1})
		if wholeErr != partsErr || !cmp.Equal(whole, parts) {
			t.Fatalf("where the stream was cut made a difference: %v and %v, %v and %v", whole, parts, wholeErr, partsErr)
		}
		view := NewView(ViewConfig{})
		must(t, view.ApplySnapshot("a", 0, nil))
		for _, e := range whole {
			m, err := e.Message()
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("error without a name: %v", err)
				}
				continue
			}
			if m.Type != Delta {
				continue
			}
			// What was understood means the same when it is passed on.
			again, err := AppendDelta(nil, m.Incarnation, m.Entries)
			if err != nil {
				t.Fatalf("read but not written: %v", err)
			}
			back, err := messages(bytes.NewReader(again))
			if err != io.EOF || len(back) == 0 {
				t.Fatalf("written but not read: %v", err)
			}
			before := view.Cursor()
			err = view.ApplyDelta(m.Incarnation, m.Entries)
			if after := view.Cursor(); err == nil && after.Seq > before.Seq && m.Entries[0].Seq > before.Seq+1 {
				t.Fatalf("moved from %v to %v over a gap", before, after)
			}
		}
	})
}

func FuzzEntries(f *testing.F) {
	for _, e := range sampleLog(8, 5) {
		data, err := json.Marshal([]Entry{e})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		fast, ok := scanEntries(in)
		if !ok {
			return
		}
		var slow []Entry
		if err := json.Unmarshal(in, &slow); err != nil {
			t.Fatalf("fast accepts what encoding/json refuses: %v", err)
		}
		if diff := cmp.Diff(slow, fast); diff != "" {
			t.Fatalf("(-json +fast):\n%s", diff)
		}
	})
}

type stepReader struct {
	rest []byte
	step int
}

func (s *stepReader) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.step)], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
