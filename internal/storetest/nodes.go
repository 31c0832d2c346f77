package storetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

func (w *world) wantLease(what string, want authority.Lease) {
	w.Helper()
	got, err := w.store.Lease(w.Context(), want.Task)
	w.must(err)
	w.same(what, got, want)
}

func testLeases(w *world) {
	ctx := w.Context()
	const task = "sweeping"
	w.wantLease("never held", authority.Lease{Task: task})
	w.want("a turn that never was", w.store.MoveLease(ctx, authority.Lease{Task: task, Holder: "a", Turn: 3}), authority.ErrConflict)
	w.wantLease("after a refusal", authority.Lease{Task: task})

	l := authority.Lease{Task: task, Holder: "a", RanAt: w.now}
	w.must(w.store.MoveLease(ctx, l))
	l.Turn = 1
	w.wantLease("taken", l)
	w.want("taken as if it were free", w.store.MoveLease(ctx, authority.Lease{Task: task, Holder: "b"}), authority.ErrConflict)
	w.must(w.store.MoveLease(ctx, l))
	w.want("an old turn", w.store.MoveLease(ctx, authority.Lease{Task: task, Holder: "b", Turn: 1}), authority.ErrConflict)
	l.Turn = 2
	w.wantLease("kept", l)
	w.must(w.store.MoveLease(ctx, authority.Lease{Task: task, Turn: 2}))
	w.wantLease("given back", authority.Lease{Task: task, Turn: 3})
	w.wantLease("another task", authority.Lease{Task: "other"})

	for turn := range uint64(3) {
		free := authority.Lease{Task: "raced", Turn: turn}
		winner := w.oneWins(race(100, func(i int) error {
			mine := free
			mine.Holder = fmt.Sprint("node ", i)
			return w.store.MoveLease(ctx, mine)
		}), authority.ErrConflict)
		w.wantLease("raced", authority.Lease{Task: "raced", Holder: fmt.Sprint("node ", winner), Turn: turn + 1})
	}
}

func testNotes(w *world) {
	ctx := w.Context()
	const topic, other authority.NoteTopic = "one", "other"
	note := func(topic authority.NoteTopic, node, body string) authority.Note {
		return authority.Note{Topic: topic, Node: node, Body: []byte(body), ExpiresAt: w.now.Add(time.Minute)}
	}
	want := func(what string, topic authority.NoteTopic, notes ...authority.Note) {
		w.Helper()
		got, err := w.store.Notes(ctx, topic, w.now)
		w.must(err)
		w.same(what, brief(got), brief(notes))
	}
	want("none", topic)
	b, a, elsewhere := note(topic, "b", "of b"), note(topic, "a", "\x00\xff"), note(other, "a", "")
	for _, n := range []authority.Note{b, a, elsewhere} {
		w.must(w.store.PutNote(ctx, n))
	}
	want("by node", topic, a, b)
	want("another topic", other, elsewhere)
	w.now = w.now.Add(30 * time.Second)
	b = note(topic, "b", strings.Repeat("x", authority.MaxNote))
	w.must(w.store.PutNote(ctx, b))
	want("written again, as long as may be", topic, a, b)
	for what, bad := range map[string]authority.Note{
		"no topic": note("", "a", ""), "no node": note(topic, "", ""), "too long": note(topic, "a", strings.Repeat("x", authority.MaxNote+1)),
	} {
		w.want(what, w.store.PutNote(ctx, bad), errAny)
	}
	w.now = a.ExpiresAt
	want("one has expired", topic, b)
	w.same("not swept yet", w.sweepAll(0, 10).Notes, 0)
	w.now = w.now.Add(time.Millisecond)
	w.same("swept", w.sweepAll(0, 10).Notes, 2)
	w.must(w.store.DropNote(ctx, topic, "absent"))
	w.must(w.store.DropNote(ctx, topic, "b"))
	want("dropped", topic)
}

// brief has digests in place of long bodies, which take half a minute to compare byte by byte.
func brief(notes []authority.Note) []authority.Note {
	notes = slices.Clone(notes)
	for i, n := range notes {
		if sum := sha256.Sum256(n.Body); len(n.Body) > 1000 {
			notes[i].Body = sum[:]
		}
	}
	return notes
}

// testBacklog: what is due is counted, as far as was asked for, and what was swept
// is not.
func testBacklog(w *world) {
	ctx := w.Context()
	account := w.account("ada").ID
	session := w.session(account)
	w.grant(session, "app", false) // with a code and a token
	for _, key := range []string{"a", "b", "c"} {
		w.ticket(key, "")
	}
	w.must(w.store.PutNote(ctx, authority.Note{Topic: "t", Node: "n", ExpiresAt: w.now.Add(time.Minute)}))
	due := func(limit int) map[string]authority.Due {
		w.Helper()
		list, err := w.store.Backlog(ctx, w.now, time.Hour, limit)
		w.must(err)
		found := map[string]authority.Due{}
		for _, d := range list {
			if _, twice := found[d.Kind]; twice || d.Kind == "" {
				w.Errorf("kind %q is there twice", d.Kind)
			}
			found[d.Kind] = d
		}
		return found
	}
	for kind, d := range due(10) {
		w.same("nothing is due: "+kind, d, authority.Due{Kind: kind})
	}
	first := w.now.Add(time.Minute)
	w.now = w.now.Add(400 * day)
	got := due(2)
	tickets := authority.Due{Kind: "ticket", Rows: 2, Oldest: first}
	if w.expiring {
		tickets = authority.Due{Kind: "ticket"}
	}
	w.same("tickets, as far as asked", got["ticket"], tickets)
	w.same("notes", got["note"], authority.Due{Kind: "note", Rows: 1, Oldest: first})
	for _, kind := range []string{"token", "code", "grant", "session", "event"} {
		if w.expiring && kind == "token" {
			continue
		}
		if d := got[kind]; d.Rows == 0 || d.Oldest.Before(epoch) || !d.Oldest.Before(w.now) {
			w.Errorf("%s: %+v", kind, d)
		}
	}
	w.same("more of them", due(10)["ticket"].Rows, w.swept(3))
	w.sweepAll(time.Hour, 10)
	for kind, d := range due(10) {
		w.same("all was swept: "+kind, d, authority.Due{Kind: kind})
	}
}
