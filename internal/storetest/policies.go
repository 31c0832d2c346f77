package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
)

func (w *world) putPolicy(name, data string) authority.Policy {
	w.Helper()
	p, err := w.store.PutPolicy(w.Context(),
		authority.Policy{Name: name, Audience: "https://api.example.com", Data: []byte(data), CreatedAt: w.now, UpdatedAt: w.now},
		w.now.Add(time.Hour), w.event(authority.EventPolicySet))
	w.must(err)
	return p
}

func (w *world) deletePolicy(name string) error {
	return w.store.DeletePolicy(w.Context(), name, w.now, w.now.Add(time.Hour), w.event(authority.EventPolicyDeleted))
}

func testPolicies(w *world) {
	ctx := w.Context()
	first := w.putPolicy("b", `{"a":1}`)
	w.same("created", first, authority.Policy{
		Name: "b", Audience: "https://api.example.com", Data: []byte(`{"a":1}`), Version: 1, CreatedAt: w.now, UpdatedAt: w.now,
	})
	created := w.now
	w.now = w.now.Add(time.Minute)
	second := w.putPolicy("b", `{"a":2}`)
	w.same("replaced", second, authority.Policy{
		Name: "b", Audience: "https://api.example.com", Data: []byte(`{"a":2}`), Version: 2, CreatedAt: created, UpdatedAt: w.now,
	})
	other := w.putPolicy("a", `{}`)
	all, err := w.store.Policies(ctx)
	w.must(err)
	w.same("by name", all, []authority.Policy{other, second})
	got, err := w.store.Policy(ctx, "b")
	w.must(err)
	w.same("one", got, second)
	_, err = w.store.Policy(ctx, "c")
	w.want("absent", err, authority.ErrNotFound)
	w.want("delete an absent one", w.deletePolicy("c"), authority.ErrNotFound)
	w.want("delete", w.deletePolicy("b"), nil)
	w.want("delete again", w.deletePolicy("b"), authority.ErrNotFound)
	_, err = w.store.Policy(ctx, "b")
	w.want("deleted", err, authority.ErrNotFound)
	if set, deleted := w.events(authority.EventPolicySet), w.events(authority.EventPolicyDeleted); set != 3 || deleted != 1 {
		w.Errorf("%d events of changes, %d of deletions, want 3 and 1", set, deleted)
	}
}

// Each change is in the log, and a snapshot has what there is: whatever its age,
// once, in its place.
func testPolicyLog(w *world) {
	ctx := w.Context()
	w.putPolicy("lock", `{"a":1}`)
	w.revoke(authority.Revocation{Grant: w.standing("robot").ID})
	w.putPolicy("gone", `{}`)
	w.putPolicy("lock", `{"a":2}`)
	w.must(w.deletePolicy("gone"))
	log, err := w.store.Log(ctx, 0, 100)
	w.must(err)
	var got []string
	for i, e := range log {
		if e.Seq != uint64(i+1) { // #nosec G115 -- small
			w.Errorf("entry %d has number %d", i, e.Seq)
		}
		if e.Kind == authority.KindPolicy {
			got = append(got, fmt.Sprint(e.Seq, e.Name, string(e.Data), e.Until.Equal(w.now.Add(time.Hour))))
		}
	}
	w.same("log", got, []string{`1lock{"a":1}true`, `3gone{}true`, `4lock{"a":2}true`, `5gonenulltrue`})

	for _, test := range []struct {
		what string
		now  time.Time
		want []string
	}{
		{"while the log has all", w.now, []string{"2 grant ", `4 policy lock{"a":2}`}},
		{"long after", w.now.Add(1000 * time.Hour), []string{`4 policy lock{"a":2}`}},
	} {
		live, seq, err := w.store.Live(ctx, test.now)
		w.must(err)
		var got []string
		for _, e := range live {
			got = append(got, fmt.Sprint(e.Seq, " ", e.Kind, " ", e.Name, string(e.Data)))
			if e.Kind == authority.KindPolicy && !e.Until.IsZero() {
				w.Errorf("%s: a policy ends at %v", test.what, e.Until)
			}
		}
		w.same(test.what, got, test.want)
		if seq != 5 {
			w.Errorf("%s: at %d, want 5", test.what, seq)
		}
	}
	w.want("waiting for the last change", w.store.Wait(ctx, 4), nil)
}

// Of all who change the same policy each gets a version and a number of its own.
func testPolicyRace(w *world) {
	const writers = 32
	versions := make([]int64, writers)
	errs := race(writers, func(i int) error {
		p, err := w.store.PutPolicy(w.Context(),
			authority.Policy{Name: "p", Audience: "a", Data: fmt.Appendf(nil, `{"n":%d}`, i), CreatedAt: w.now, UpdatedAt: w.now},
			w.now.Add(time.Hour), w.event(authority.EventPolicySet))
		versions[i] = p.Version
		return err
	})
	w.must(errors.Join(errs...))
	seen := map[int64]bool{}
	for _, v := range versions {
		seen[v] = true
	}
	if len(seen) != writers || !seen[writers] {
		w.Errorf("got versions %v", versions)
	}
	log, err := w.store.Log(w.Context(), 0, 2*writers)
	w.must(err)
	now, err := w.store.Policy(w.Context(), "p")
	w.must(err)
	if len(log) != writers || string(log[writers-1].Data) != string(now.Data) {
		w.Errorf("%d entries, the last says %s, stored is %s", len(log), log[len(log)-1].Data, now.Data)
	}
}
