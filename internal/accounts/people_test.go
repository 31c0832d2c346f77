package accounts_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func TestCreate(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	a, err := w.people.Create(ctx, admin, accounts.NewAccount{
		Login: " Alice@Example.COM ", Email: "alice@example.com", EmailVerified: true, Password: secret.New(goodPassword),
	}, "first person")
	if err != nil {
		t.Fatal(err)
	}
	if a.Login != "alice@example.com" || a.Name != a.Login || strings.Contains(a.PasswordHash, goodPassword) {
		t.Errorf("account = %+v", a)
	}
	for _, name := range []string{a.Subject(), "ALICE@example.com"} {
		if got, err := w.people.Find(ctx, name); err != nil || got.ID != a.ID {
			t.Errorf("Find(%s) = %v, %v", name, got.ID, err)
		}
	}
	for _, name := range []string{"bob", secret.NewID(w.clock()).String(), "", "a\x00"} {
		if _, err := w.people.Find(ctx, name); !errors.Is(err, authority.ErrNotFound) {
			t.Errorf("Find(%q): %v, want ErrNotFound", name, err)
		}
	}
	if _, err := w.people.Create(ctx, admin, accounts.NewAccount{Login: "alice@EXAMPLE.com"}, ""); !errors.Is(err, authority.ErrConflict) {
		t.Errorf("the same login again: %v, want ErrConflict", err)
	}
	events := w.events(authority.EventAccountCreated)
	if len(events) != 1 || events[0].Actor != admin || events[0].Reason != "first person" || events[0].AccountID != a.ID {
		t.Errorf("events = %+v", events)
	}

	// An account from another system brings its hash.
	const hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxNmJ5dGVzIQ$tPXA8KRaMxUDqoVFOkz5qceiysamiMSLxBrcC5sAtmo"
	if _, err := w.people.Create(ctx, admin, accounts.NewAccount{Login: "imported", PasswordHash: hash}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.try("imported", "password", home); err != nil {
		t.Errorf("sign-in with an imported hash: %v", err)
	}

	// Everything wrong is said at once, and the password is not.
	_, err = w.people.Create(ctx, authority.Actor{}, accounts.NewAccount{
		Login: "a\x00b", Name: "a\nb", Email: "nobody", Password: secret.New("short"), PasswordHash: "x",
	}, "")
	if !errors.Is(err, accounts.ErrInvalid) {
		t.Fatalf("err = %v, want ErrInvalid", err)
	}
	for _, part := range []string{"who makes this change", "login", "name", "email", "exclude"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not mention %q: %v", part, err)
		}
	}
	if _, err = w.people.Create(ctx, admin, accounts.NewAccount{Login: "x", Password: secret.New("short")}, ""); !errors.Is(err, accounts.ErrInvalid) || strings.Contains(err.Error(), "\"short\"") {
		t.Errorf("short password: %v", err)
	}
}

func TestDisable_EndsEverything(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	alice := w.create("alice")
	w.client("web", false)
	in := w.signIn("alice")
	bound, offline := w.grant(alice, in.Session, "web", false), w.grant(alice, in.Session, "web", true)

	got, err := w.people.Disable(ctx, admin, alice.ID, "left the company")
	if err != nil || !got.Disabled {
		t.Fatalf("Disable = %+v, %v", got, err)
	}
	w.wantLive("of a disabled account", in, false)
	w.wantGrant("of its session", bound, false)
	w.wantGrant("offline", offline, false)
	if again, err := w.people.Disable(ctx, admin, alice.ID, "twice"); err != nil || again.Version != got.Version {
		t.Errorf("disabling twice: version %d, %v; want %d", again.Version, err, got.Version)
	}
	if n := len(w.events(authority.EventAccountDisabled)); n != 1 {
		t.Errorf("%d events, want 1", n)
	}

	enabled, err := w.people.Enable(ctx, admin, alice.ID, "is back")
	if err != nil || enabled.Disabled {
		t.Fatalf("Enable = %+v, %v", enabled, err)
	}
	stored, err := w.people.Get(ctx, alice.ID)
	if err != nil || stored.Version != enabled.Version {
		t.Errorf("version %d, stored %d, %v", enabled.Version, stored.Version, err)
	}
	w.wantLive("ended before, after enabling", in, false)
	w.signIn("alice")
	if _, err := w.people.Disable(ctx, admin, secret.NewID(w.clock()), ""); !errors.Is(err, authority.ErrNotFound) {
		t.Errorf("unknown account: %v", err)
	}
}

func TestSetPassword_EndsEverything(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	alice := w.create("alice")
	w.client("web", false)
	in := w.signIn("alice")
	offline := w.grant(alice, in.Session, "web", true)
	const next = "another otter cliff waltz"

	for _, bad := range []string{"short", "alicealicealice1", "passwordpassword1", ""} {
		if _, err := w.people.SetPassword(ctx, admin, alice.ID, secret.New(bad), ""); !errors.Is(err, accounts.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", bad, err)
		}
	}
	w.wantLive("after refused passwords", in, true)

	changed, err := w.people.SetPassword(ctx, admin, alice.ID, secret.New(next), "forgotten")
	if err != nil {
		t.Fatal(err)
	}
	w.wantLive("before the new password", in, false)
	w.wantGrant("offline", offline, false)
	if _, err := w.try("alice", goodPassword, home); !errors.Is(err, accounts.ErrCredentials) {
		t.Errorf("the old password: %v", err)
	}
	if _, err := w.try("alice", next, home); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if events := w.events(authority.EventPasswordSet); len(events) != 1 || events[0].Reason != "forgotten" {
		t.Errorf("events = %+v", events)
	}
	for password, want := range map[string]bool{next: true, goodPassword: false, "": false} {
		if got, err := w.people.CheckPassword(ctx, changed, secret.New(password)); err != nil || got != want {
			t.Errorf("CheckPassword = %v, %v; want %v", got, err, want)
		}
	}
}

func TestUpdateProfile(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	alice := w.create("alice")
	w.create("bob")
	in := w.signIn("alice")
	got, err := w.people.UpdateProfile(ctx, admin, alice.ID, accounts.Profile{Login: "ALICE", Name: "Alice", Email: "a@example.com"}, "asked for it")
	if err != nil || got.Name != "Alice" || got.Login != "alice" {
		t.Fatalf("UpdateProfile = %+v, %v", got, err)
	}
	same, err := w.people.UpdateProfile(ctx, admin, alice.ID, accounts.ProfileOf(got), "again")
	if err != nil || same.Version != got.Version {
		t.Errorf("the same profile again: version %d, %v; want %d", same.Version, err, got.Version)
	}
	if events := w.events(authority.EventAccountUpdated); len(events) != 1 || events[0].Data["changed"] != "name email" {
		t.Errorf("events = %+v", events)
	}
	w.wantLive("after a profile change", in, true)
	if _, err := w.people.UpdateProfile(ctx, admin, alice.ID, accounts.Profile{Login: "bob"}, ""); !errors.Is(err, authority.ErrConflict) {
		t.Errorf("a login that is taken: %v, want ErrConflict", err)
	}
	if _, err := w.people.UpdateProfile(ctx, admin, alice.ID, accounts.Profile{Login: "", Email: "x"}, ""); !errors.Is(err, accounts.ErrInvalid) {
		t.Errorf("nonsense: %v, want ErrInvalid", err)
	}
}

// Whoever reads the former address must learn of the change, if it was theirs.
func TestUpdateProfile_NamesTheFormerVerifiedAddress(t *testing.T) {
	w := open(t)
	alice := w.create("alice")
	for _, step := range []struct {
		email    string
		verified bool
		want     string
	}{{"one@example.com", false, ""}, {"two@example.com", true, ""}, {"three@example.com", false, "two@example.com"}, {"four@example.com", true, ""}, {"four@example.com", false, ""}} {
		w.pass(time.Second)
		p := accounts.Profile{Login: "alice", Email: step.email, EmailVerified: step.verified}
		if _, err := w.people.UpdateProfile(t.Context(), admin, alice.ID, p, ""); err != nil {
			t.Fatal(err)
		}
		if got := w.events(authority.EventAccountUpdated)[0].Data["former_email"]; got != step.want {
			t.Errorf("to %s: former address %q, want %q", step.email, got, step.want)
		}
	}
}

func TestEndSessions(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	alice := w.create("alice")
	w.client("web", false)
	here, there, third := w.signIn("alice"), w.signIn("alice"), w.signIn("alice")
	kept := w.grant(alice, here.Session, "web", false)
	if err := w.people.EndSession(ctx, admin, third.Session.ID, "lost phone"); err != nil {
		t.Fatal(err)
	}
	w.wantLive("the one that was ended", third, false)
	w.wantLive("another", there, true)
	if err := w.people.EndSessions(ctx, admin, alice.ID, here.Session.ID, "sign out elsewhere"); err != nil {
		t.Fatal(err)
	}
	w.wantLive("the exception", here, true)
	w.wantGrant("of the exception", kept, true)
	w.wantLive("elsewhere", there, false)
	if err := w.people.EndSessions(ctx, admin, alice.ID, secret.ID{}, "everywhere"); err != nil {
		t.Fatal(err)
	}
	w.wantLive("here too", here, false)
	w.wantGrant("of a session that ended", kept, false)
	if err := w.people.EndSession(ctx, admin, secret.NewID(w.clock()), ""); !errors.Is(err, authority.ErrNotFound) {
		t.Errorf("unknown session: %v", err)
	}
}
