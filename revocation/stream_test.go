package revocation

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// parts is a snapshot of three parts, with ids 1 to 3, complete up to 9.
var parts = []string{
	"event: snapshot\ndata: {\"incarnation\":\"a\",\"seq\":9,\"part\":0,\"end\":false,\"entries\":[" + tokenJSON(1) + "]}\n\n",
	"event: snapshot\ndata: {\"incarnation\":\"a\",\"seq\":9,\"part\":1,\"end\":false,\"entries\":[" + tokenJSON(2) + "]}\n\n",
	"event: snapshot\nid: a-9\ndata: {\"incarnation\":\"a\",\"seq\":9,\"part\":2,\"end\":true,\"entries\":[" + tokenJSON(3) + "]}\n\n",
}

func tokenJSON(n int) string {
	return `{"seq":` + string(rune('0'+n)) + `,"kind":"token","id":"` + number(n).String() + `"}`
}

// TestFollower_SnapshotIsWholeOrNothing: the place moves only with a snapshot that had all its parts in order.
func TestFollower_SnapshotIsWholeOrNothing(t *testing.T) {
	beat := string(AppendHeartbeat(nil, "a", 9, time.UnixMilli(1)))
	delta := "event: delta\nid: a-10\ndata: [{\"seq\":10,\"kind\":\"keys\"}]\n\n"
	early := "event: delta\nid: a-1\ndata: [{\"seq\":1,\"kind\":\"keys\"}]\n\n"
	other := strings.ReplaceAll(parts[1], `"seq":9`, `"seq":8`)
	for _, test := range []struct {
		name, stream string
		want         Cursor
		err          error
	}{
		{"whole", parts[0] + parts[1] + parts[2] + delta, Cursor{"a", 10}, io.ErrUnexpectedEOF},
		{"heartbeats between", beat + parts[0], Cursor{}, ErrIncarnation},
		{"heartbeats inside", parts[0] + beat + parts[1] + beat + parts[2], Cursor{"a", 9}, io.ErrUnexpectedEOF},
		{"twice", parts[0] + parts[1] + parts[2] + parts[0] + parts[1] + parts[2], Cursor{"a", 9}, io.ErrUnexpectedEOF},
		{"first missing", parts[1] + parts[2], Cursor{}, ErrMalformed},
		{"middle missing", parts[0] + parts[2], Cursor{}, ErrMalformed},
		{"last missing", parts[0] + parts[1], Cursor{}, io.ErrUnexpectedEOF},
		{"part twice", parts[0] + parts[0] + parts[1] + parts[2], Cursor{}, ErrMalformed},
		{"swapped", parts[1] + parts[0] + parts[2], Cursor{}, ErrMalformed},
		{"part of another", parts[0] + other + parts[2], Cursor{}, ErrMalformed},
		{"delta inside", parts[0] + early + parts[1] + parts[2], Cursor{}, ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			view := NewView(ViewConfig{})
			f, err := NewFollower(FollowerConfig{URL: "https://id", View: view, Authorize: func(*http.Request) error { return nil }})
			must(t, err)
			body := &watchedBody{arrived: time.Now()}
			_, err = f.take(NewDecoder(strings.NewReader(test.stream)), body)
			if !errors.Is(err, test.err) {
				t.Errorf("error: got %v, want %v", err, test.err)
			}
			if got := view.Cursor(); got != test.want {
				t.Errorf("place: got %v, want %v", got, test.want)
			}
			if view.Ready() != !test.want.IsZero() {
				t.Errorf("ready: %v", view.Ready())
			}
		})
	}
}

// TestFollower_SnapshotIsAsFreshAsItsFirstPart: it was taken before it was sent, and sending took time.
func TestFollower_SnapshotIsAsFreshAsItsFirstPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := NewView(ViewConfig{})
		f, err := NewFollower(FollowerConfig{URL: "https://id", View: view, Authorize: func(*http.Request) error { return nil }})
		must(t, err)
		time.Sleep(10 * time.Second)
		n := 0
		_, dog := watch(t.Context(), time.Hour)
		defer dog.stop()
		body := &watchedBody{dog: dog, now: f.now, first: f.silence, silence: f.silence, body: readerFunc(func(p []byte) (int, error) {
			if n == len(parts) {
				return 0, io.EOF
			}
			time.Sleep(time.Second)
			n++
			return copy(p, parts[n-1]), nil
		})}
		_, err = f.take(NewDecoder(body), body)
		wantErr(t, err, io.ErrUnexpectedEOF)
		if got, want := view.Lag(), 2*time.Second; got != want || !view.Ready() {
			t.Errorf("lag: got %v, want %v; ready %v", got, want, view.Ready())
		}
	})
}

// TestDecoder_SkipsComments also shows that a stream of nothing but comments holds no memory.
func TestDecoder_SkipsComments(t *testing.T) {
	dec := NewDecoder(io.MultiReader(bytes.NewReader(bytes.Repeat([]byte(": nothing\n"), 1<<20)), strings.NewReader("data: x\n\n")))
	if e, err := dec.Next(); err != nil || string(e.Data) != "x" {
		t.Errorf("got %v, %v", e, err)
	}
	if cap(dec.buf) > 1<<16 {
		t.Errorf("buffer: %d bytes", cap(dec.buf))
	}
}
