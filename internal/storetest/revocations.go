package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// wantEntries compares the kinds and ids of what was ended, in order.
func (w *world) wantEntries(what string, got []authority.LogEntry, want ...string) {
	w.Helper()
	w.same(what, targets(got), want)
	for _, e := range got {
		if e.Reason != "test" || !e.At.Equal(w.now) || !e.Until.Equal(w.now.Add(life)) {
			w.Errorf("%s: got entry %+v", what, e)
		}
	}
}

// endsOnce revokes, and revokes again, which must change nothing.
func (w *world) endsOnce(what string, r authority.Revocation, want ...string) {
	w.Helper()
	before := w.events(authority.EventGrantEnded)
	w.wantEntries(what, w.revoke(r), want...)
	if n := w.events(authority.EventGrantEnded); n != before+1 {
		w.Errorf("%s: got %d new events, want 1", what, n-before)
	}
	r.Update = nil
	w.wantEntries(what+", again", w.revoke(r))
	if n := w.events(authority.EventGrantEnded); n != before+1 {
		w.Errorf("%s, again: an event was written", what)
	}
}

func grantName(g authority.Grant) string     { return fmt.Sprint("grant ", g.ID) }
func sessionName(s authority.Session) string { return fmt.Sprint("session ", s.ID) }

// inOrder sorts grants as a revocation lists them: by id.
func inOrder(grants ...authority.Grant) []string {
	slices.SortFunc(grants, func(a, b authority.Grant) int { return a.ID.Compare(b.ID) })
	var names []string
	for _, g := range grants {
		names = append(names, grantName(g))
	}
	return names
}

func testRevokeToken(w *world) {
	g := w.standing("robot")
	v, other := w.token(g.ID), w.token(g.ID)
	w.endsOnce("token", authority.Revocation{Token: &v}, fmt.Sprint("token ", v.ID))
	w.wantRegistered("revoked", false, v)
	w.wantRegistered("its neighbour", true, other)
	w.wantEnded("its grant", g.ID, false)

	unknown := w.newToken(g.ID)
	w.wantEntries("unknown token", w.revoke(authority.Revocation{Token: &unknown}))
	w.now = other.ExpiresAt
	w.wantEntries("expired token", w.revoke(authority.Revocation{Token: &other}))
}

func testRevokeGrant(w *world) {
	s := w.session(w.account("ada").ID)
	g, other := w.grant(s, "app", false), w.grant(s, "app", false)
	w.endsOnce("grant", authority.Revocation{Grant: g.ID}, grantName(g))
	got, err := w.store.Grant(w.Context(), g.ID)
	w.must(err)
	g.EndedAt, g.EndReason, g.EndCode = w.now, "test", authority.EndedRevoked
	w.same("ended grant", got, g)
	w.wantEnded("its neighbour", other.ID, false)
	w.wantEntries("unknown grant", w.revoke(authority.Revocation{Grant: w.id()}))

	// One whose time is over may have left tokens behind.
	w.now = other.ExpiresAt.Add(time.Second)
	w.endsOnce("expired grant", authority.Revocation{Grant: other.ID}, grantName(other))
}

func testRevokeSession(w *world) {
	account := w.account("ada").ID
	s, other := w.session(account), w.session(account)
	a, b := w.grant(s, "app", false), w.grant(s, "other", false)
	offline, elsewhere := w.grant(s, "app", true), w.grant(other, "app", false)
	w.endsOnce("session", authority.Revocation{Session: s.ID}, append([]string{sessionName(s)}, inOrder(a, b)...)...)
	w.wantEnded("bound", a.ID, true)
	w.wantEndCode("bound", a.ID, authority.EndedSession)
	w.wantEnded("offline", offline.ID, false)
	w.wantEnded("elsewhere", elsewhere.ID, false)
	w.wantEntries("unknown session", w.revoke(authority.Revocation{Session: w.id()}))
}

func testRevokeBrowser(w *world) {
	w.client("public", true)
	w.client("server", false)
	ada := w.account("ada").ID
	s, other := w.session(ada), w.session(ada)
	bound, offline := w.grant(s, "public", false), w.grant(s, "public", true)
	server, elsewhere := w.grant(s, "server", true), w.grant(other, "public", true)

	w.endsOnce("session", authority.Revocation{Session: s.ID}, sessionName(s), grantName(bound))
	w.wantEnded("offline", offline.ID, false)
	// Later still: what was made in the session is known after it has ended.
	w.endsOnce("browser", authority.Revocation{Session: s.ID, BrowserAll: true}, grantName(offline))
	w.wantEnded("of a server", server.ID, false)
	w.endsOnce("all that was made in it", authority.Revocation{Session: s.ID, MadeIn: true}, grantName(server))
	w.wantEnded("of another browser", elsewhere.ID, false)
}

func testRevokeAccount(w *world) {
	ada, bob := w.account("ada").ID, w.account("bob").ID
	one, two := w.session(ada), w.session(ada)
	a, offline := w.grant(one, "app", false), w.grant(one, "app", true)
	kept, keptOffline := w.grant(two, "app", false), w.grant(two, "app", true)
	bobs := w.grant(w.session(bob), "app", false)
	ended := w.session(ada)
	w.revoke(authority.Revocation{Session: ended.ID})

	want := append([]string{sessionName(one), grantName(a)}, inOrder(offline, keptOffline)...)
	w.endsOnce("all but one session", authority.Revocation{Account: ada, ExceptSession: two.ID}, want...)
	w.wantEnded("kept", kept.ID, false)
	w.endsOnce("all", authority.Revocation{Account: ada}, sessionName(two), grantName(kept))
	w.wantEnded("of another person", bobs.ID, false)
	got, err := w.store.Session(w.Context(), two.ID)
	w.must(err)
	if got.EndedAt.IsZero() || got.EndReason != "test" {
		w.Errorf("got session %+v, want it ended", got)
	}
}

func testRevokeWithUpdate(w *world) {
	ctx := w.Context()
	a := w.account("ada")
	s := w.session(a.ID)
	g := w.grant(s, "app", false)

	stale := a
	stale.Version--
	stale.Disabled = true
	r := w.revocation(authority.Revocation{Account: a.ID, Update: &stale})
	_, err := w.store.Revoke(ctx, r)
	w.want("version moved", err, authority.ErrConflict)
	w.wantEnded("after a refused update", g.ID, false)
	got, err := w.store.Account(ctx, a.ID)
	w.must(err)
	w.same("account after a refused update", got, a)
	if n := w.events(authority.EventGrantEnded); n != 0 {
		w.Errorf("got %d events, want 0", n)
	}

	a.Disabled, a.PasswordHash = true, "other"
	w.endsOnce("disabled", authority.Revocation{Account: a.ID, Update: &a}, sessionName(s), grantName(g))
	w.wantEndCode("disabled", g.ID, authority.EndedAccount)
	a.Version++
	got, err = w.store.Account(ctx, a.ID)
	w.must(err)
	w.same("account", got, a)

	// Nothing to end, but something to write: no entries, one event.
	before := w.events(authority.EventGrantEnded)
	w.wantEntries("update alone", w.revoke(authority.Revocation{Account: a.ID, Update: &a}))
	if n := w.events(authority.EventGrantEnded); n != before+1 {
		w.Error("the update left no event")
	}
}

func testRevokeClient(w *world) {
	ctx := w.Context()
	w.client("app", false)
	w.client("other", false)
	s := w.session(w.account("ada").ID)
	consent := authority.Consent{AccountID: s.AccountID, ClientID: "app", CreatedAt: w.now, UpdatedAt: w.now}
	used := w.newCode(s, "app")
	w.must(w.store.CreateCode(ctx, used, &consent, nil))
	w.must(w.store.Redeem(ctx, w.redemption(used, false)))
	used, err := w.store.Code(ctx, used.ID)
	w.must(err)
	first, err := w.store.Grant(ctx, used.GrantID)
	w.must(err)
	offline, foreign := w.grant(s, "app", true), w.grant(s, "other", false)
	standing := w.newStanding("app")
	_, err = w.store.OpenStanding(ctx, standing, w.event(authority.EventGrantCreated))
	w.must(err)

	w.endsOnce("client", authority.Revocation{Client: "app"}, inOrder(first, offline, standing)...)
	w.wantEnded("of another client", foreign.ID, false)
	if _, err := w.store.Client(ctx, "app"); err != nil {
		w.Errorf("the client went without being asked to: %v", err)
	}
	if _, err := w.store.Consent(ctx, s.AccountID, "app"); err != nil {
		w.Errorf("the consent went without being asked to: %v", err)
	}
	late := w.code(s, "app")
	last := w.standing("app")
	w.endsOnce("deleted", authority.Revocation{Client: "app", DeleteClient: true}, grantName(last))
	_, err = w.store.Client(ctx, "app")
	w.want("client", err, authority.ErrNotFound)
	_, err = w.store.Consent(ctx, s.AccountID, "app")
	w.want("consent", err, authority.ErrNotFound)
	for _, c := range []authority.Code{used, late} {
		_, err = w.store.Code(ctx, c.ID)
		w.want("code", err, authority.ErrNotFound)
	}
	if _, err := w.store.Client(ctx, "other"); err != nil {
		w.Errorf("another client: %v", err)
	}
}

func testRevokeConsent(w *world) {
	ctx := w.Context()
	ada, bob := w.session(w.account("ada").ID), w.session(w.account("bob").ID)
	var mine authority.Consent
	for _, s := range []authority.Session{bob, ada} {
		mine = authority.Consent{AccountID: s.AccountID, ClientID: "app", CreatedAt: w.now, UpdatedAt: w.now}
		w.must(w.store.CreateCode(ctx, w.newCode(s, "app"), &mine, nil))
	}
	a, b := w.grant(ada, "app", false), w.grant(ada, "app", true)
	otherApp, otherPerson := w.grant(ada, "other", false), w.grant(bob, "app", false)
	w.endsOnce("consent", authority.Revocation{Consent: &mine}, inOrder(a, b)...)
	w.wantEndCode("consent withdrawn", b.ID, authority.EndedConsent)
	_, err := w.store.Consent(ctx, ada.AccountID, "app")
	w.want("consent", err, authority.ErrNotFound)
	w.wantEnded("another app", otherApp.ID, false)
	w.wantEnded("another person", otherPerson.ID, false)
	if _, err := w.store.Consent(ctx, bob.AccountID, "app"); err != nil {
		w.Errorf("another person's consent: %v", err)
	}
}

func testRevokeTargets(w *world) {
	g := w.standing("robot")
	for what, r := range map[string]authority.Revocation{
		"none": {},
		"two":  {Grant: g.ID, Client: "robot"},
	} {
		if _, err := w.store.Revoke(w.Context(), w.revocation(r)); err == nil {
			w.Errorf("%s: got no error", what)
		}
	}
	w.wantEnded("grant", g.ID, false)
}

func testLog(w *world) {
	ctx := w.Context()
	name, seq, err := w.store.Head(ctx)
	w.must(err)
	if name == "" || seq != 0 {
		w.Errorf("got head %q, %d of an empty log", name, seq)
	}
	var all []authority.LogEntry
	for i := range 7 {
		w.now = w.now.Add(time.Second)
		all = append(all, w.revoke(authority.Revocation{Grant: w.standing(fmt.Sprint("robot ", i)).ID})...)
	}
	for i, e := range all {
		if e.Seq != uint64(i+1) { // #nosec G115 -- small
			w.Fatalf("entry %d has number %d", i, e.Seq)
		}
	}
	again, seq, err := w.store.Head(ctx)
	w.must(err)
	if again != name || seq != 7 {
		w.Errorf("got head %q, %d, want %q, 7", again, seq, name)
	}
	for _, test := range []struct {
		after uint64
		limit int
		want  []authority.LogEntry
	}{{0, 100, all}, {0, 3, all[:3]}, {3, 2, all[3:5]}, {7, 5, nil}, {99, 5, nil}} {
		got, err := w.store.Log(ctx, test.after, test.limit)
		w.must(err)
		w.same(fmt.Sprintf("after %d limit %d", test.after, test.limit), got, test.want)
	}
	got, err := w.store.Revoked(ctx, authority.KindGrant, all[2].ID)
	w.must(err)
	w.same("by id", got, all[2])
	_, err = w.store.Revoked(ctx, authority.KindSession, all[2].ID)
	w.want("other kind", err, authority.ErrNotFound)
	_, err = w.store.Revoked(ctx, authority.KindGrant, w.id())
	w.want("unknown", err, authority.ErrNotFound)
}

func testLogLive(w *world) {
	ctx := w.Context()
	got, seq, err := w.store.Live(ctx, w.now)
	if err != nil || len(got) != 0 || seq != 0 {
		w.Errorf("empty log: got %v, %d, %v", got, seq, err)
	}
	var all []authority.LogEntry
	for i := range 4 {
		w.now = w.now.Add(time.Second)
		all = append(all, w.revoke(authority.Revocation{Grant: w.standing(fmt.Sprint("robot ", i)).ID})...)
	}
	for _, test := range []struct {
		what string
		now  time.Time
		want []authority.LogEntry
	}{
		{"all", all[0].Until.Add(-time.Millisecond), all},
		{"until is not after now", all[0].Until, all[1:]},
		{"none", all[3].Until, nil},
	} {
		got, seq, err := w.store.Live(ctx, test.now)
		w.must(err)
		w.same(test.what, got, test.want)
		if seq != 4 {
			w.Errorf("%s: got number %d, want 4", test.what, seq)
		}
	}
}

func testLogWait(w *world) {
	ctx := w.Context()
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	w.want("nothing comes", w.store.Wait(short, 0), context.DeadlineExceeded)

	woken := make(chan error, 10)
	for range cap(woken) {
		go func() { woken <- w.store.Wait(ctx, 0) }()
	}
	w.revoke(authority.Revocation{Grant: w.standing("robot").ID})
	for range cap(woken) {
		w.want("woken", <-woken, nil)
	}
	w.want("already there", w.store.Wait(ctx, 0), nil)
	short, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	w.want("the next one", w.store.Wait(short, 1), context.DeadlineExceeded)
}

// A reader that follows the log while many write to it sees every number once,
// in order, and never has to come back for one; a snapshot holds exactly the
// numbers up to its own.
func testLogUnderLoad(w *world) {
	const revokers, each = 64, 15
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	grants := make([][]authority.Grant, revokers)
	for i := range grants {
		for k := range each {
			grants[i] = append(grants[i], w.standing(fmt.Sprintf("robot %d %d", i, k)))
		}
	}
	var followers sync.WaitGroup
	followers.Go(func() {
		for next := uint64(1); next <= revokers*each; {
			if err := w.store.Wait(ctx, next-1); err != nil {
				w.Errorf("wait for %d: %v", next, err)
				return
			}
			entries, err := w.store.Log(ctx, next-1, 1+rand.IntN(20)) //nolint:gosec // any batch will do
			if err != nil || len(entries) == 0 {
				w.Errorf("woken for %d: got %d entries, %v", next, len(entries), err)
				return
			}
			for _, e := range entries {
				if e.Seq != next {
					w.Errorf("got number %d, want %d", e.Seq, next)
					return
				}
				next++
			}
		}
	})
	followers.Go(func() {
		for seq := uint64(0); seq < revokers*each; {
			entries, at, err := w.store.Live(ctx, w.now)
			if err != nil {
				w.Error(err)
				return
			}
			if at < seq || uint64(len(entries)) != at {
				w.Errorf("snapshot at %d (after %d) holds %d entries", at, seq, len(entries))
				return
			}
			seq = at
		}
	})
	var mu sync.Mutex
	seen := map[uint64]bool{}
	errs := race(revokers, func(i int) error {
		for _, g := range grants[i] {
			entries, err := w.store.Revoke(ctx, w.revocation(authority.Revocation{Grant: g.ID}))
			if err != nil || len(entries) != 1 {
				return fmt.Errorf("got %d entries: %w", len(entries), err)
			}
			// What was answered can be read at once.
			if _, err := w.store.Revoked(ctx, authority.KindGrant, g.ID); err != nil {
				return err
			}
			mu.Lock()
			seen[entries[0].Seq] = true
			mu.Unlock()
		}
		return nil
	})
	w.must(errors.Join(errs...))
	followers.Wait()
	if len(seen) != revokers*each {
		w.Errorf("got %d different numbers, want %d", len(seen), revokers*each)
	}
	var none secret.ID
	if _, err := w.store.Revoked(ctx, authority.KindGrant, none); !errors.Is(err, authority.ErrNotFound) {
		w.Errorf("the zero id: got %v", err)
	}
}
