package storetest

import (
	"fmt"
	"slices"

	"github.com/jetonhq/jeton/internal/authority"
)

func testAccounts(w *world) {
	ctx := w.Context()
	a := w.account("ada")
	got, err := w.store.Account(ctx, a.ID)
	w.must(err)
	w.same("by id", got, a)
	got, err = w.store.AccountByLogin(ctx, "ada")
	w.must(err)
	w.same("by login", got, a)

	_, err = w.store.Account(ctx, w.id())
	w.want("absent id", err, authority.ErrNotFound)
	_, err = w.store.AccountByLogin(ctx, "Ada")
	w.want("absent login", err, authority.ErrNotFound)

	a.Name, a.Email, a.EmailVerified, a.Login, a.UpdatedAt = "Ada L.", "ada@example.org", false, "lovelace", w.now.Add(1e9)
	w.must(w.store.UpdateAccount(ctx, a, w.event(authority.EventAccountUpdated)))
	a.Version++
	got, err = w.store.AccountByLogin(ctx, "lovelace")
	w.must(err)
	w.same("updated", got, a)
	_, err = w.store.AccountByLogin(ctx, "ada")
	w.want("former login", err, authority.ErrNotFound)
}

func testAccountConflicts(w *world) {
	ctx := w.Context()
	a, b := w.account("ada"), w.account("bob")

	again := a
	again.ID = w.id()
	w.want("login taken", w.store.CreateAccount(ctx, again, w.event(authority.EventAccountCreated)), authority.ErrConflict)
	again = a
	again.Login = "other"
	w.want("id taken", w.store.CreateAccount(ctx, again, w.event(authority.EventAccountCreated)), authority.ErrConflict)

	old := a
	old.Version--
	old.Name = "stale"
	w.want("old version", w.store.UpdateAccount(ctx, old, w.event(authority.EventAccountUpdated)), authority.ErrConflict)
	ahead := a
	ahead.Version++
	w.want("version ahead", w.store.UpdateAccount(ctx, ahead, w.event(authority.EventAccountUpdated)), authority.ErrConflict)
	taken := a
	taken.Login = b.Login
	w.want("update to a login taken", w.store.UpdateAccount(ctx, taken, w.event(authority.EventAccountUpdated)), authority.ErrConflict)
	absent := a
	absent.ID, absent.Login = w.id(), "absent"
	w.want("absent", w.store.UpdateAccount(ctx, absent, w.event(authority.EventAccountUpdated)), authority.ErrConflict)

	got, err := w.store.Account(ctx, a.ID)
	w.must(err)
	w.same("after refusals", got, a)
	if n := w.events(authority.EventAccountCreated); n != 2 {
		w.Errorf("got %d events of creation, want 2", n)
	}
	if n := w.events(authority.EventAccountUpdated); n != 0 {
		w.Errorf("got %d events of updates that were refused, want 0", n)
	}
}

func testAccountPages(w *world) {
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprintf("user-%02d", (i*7)%25)) // not in order
		w.account(want[i])
	}
	slices.Sort(want)
	var got []string
	for after := ""; ; {
		page, err := w.store.Accounts(w.Context(), authority.Page{After: after, Limit: 10})
		w.must(err)
		for _, a := range page {
			got = append(got, a.Login)
		}
		if len(page) < 10 {
			break
		}
		after = page[len(page)-1].Login
	}
	w.same("logins", got, want)
}

func testAccountUpdateRace(w *world) {
	a := w.account("ada")
	winner := w.oneWins(race(50, func(i int) error {
		mine := a
		mine.Name = fmt.Sprint("name ", i)
		return w.store.UpdateAccount(w.Context(), mine, w.event(authority.EventAccountUpdated))
	}), authority.ErrConflict)
	got, err := w.store.Account(w.Context(), a.ID)
	w.must(err)
	if want := fmt.Sprint("name ", winner); got.Name != want || got.Version != a.Version+1 {
		w.Errorf("got name %q version %d, want %q and %d", got.Name, got.Version, want, a.Version+1)
	}
	if n := w.events(authority.EventAccountUpdated); n != 1 {
		w.Errorf("got %d events, want 1", n)
	}
}
