package accounts_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// ASVS 6.3.8: an unknown login, a wrong password, an account without a password
// and a disabled one differ neither in the answer nor in the work.
func TestSignIn_RefusalsAreTheSame(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	w.create("alice")
	gone := w.create("gone")
	if _, err := w.people.Disable(ctx, admin, gone.ID, "left"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.people.Create(ctx, admin, accounts.NewAccount{Login: "federated"}, ""); err != nil {
		t.Fatal(err)
	}
	hashes, memory := w.people.CountHashes()
	var work []string
	for _, try := range []struct{ name, login, password string }{
		{"wrong password", "alice", "not the password"},
		{"unknown login", "nobody", goodPassword},
		{"no password set", "federated", goodPassword},
		{"no password set, none given", "federated", ""},
		{"disabled, right password", "gone", goodPassword},
		{"disabled, wrong password", "gone", "not the password"},
		{"impossible login", "a\x00b", goodPassword},
		{"empty login", "", goodPassword},
		{"password too long", "alice", strings.Repeat("x", 5000)},
		{"password not UTF-8", "alice", "\xff\xfe"},
	} {
		hashes.Store(0)
		memory.Store(0)
		before := len(w.events(authority.EventSignInFailed))
		_, err := w.try(try.login, try.password, home)
		if err != accounts.ErrCredentials {
			t.Errorf("%s: err = %v, want ErrCredentials itself", try.name, err)
		}
		if after := len(w.events(authority.EventSignInFailed)); strings.HasSuffix(try.name, "password") && after > before+1 {
			t.Errorf("%s: %d events", try.name, after-before)
		}
		work = append(work, fmt.Sprint(hashes.Load(), " hash, ", memory.Load(), " KiB"))
	}
	for i := range work {
		if work[i] != work[0] || !strings.HasPrefix(work[i], "1 hash") {
			t.Errorf("attempt %d: %s of work, the first: %s", i, work[i], work[0])
		}
	}
	for _, e := range w.events(authority.EventSignInFailed) {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, "nobody") || strings.Contains(text, goodPassword) {
			t.Errorf("the history has what somebody typed: %s", text)
		}
	}
	if _, err := w.try(" ALICE ", goodPassword, home); err != nil {
		t.Errorf("the right password is refused: %v", err)
	}
}

// A new session id and cookie at every authentication; the old cookie is dead.
func TestHT_2_NewSessionAtEverySignIn(t *testing.T) {
	w := open(t)
	alice := w.create("alice")
	w.create("bob")
	w.client("web", false)
	first := w.signIn("alice")
	w.wantLive("first", first, true)
	app := w.grant(alice, first.Session, "web", false)

	second, err := w.people.SignIn(t.Context(), accounts.SignIn{
		Login: "alice", Password: secret.New(goodPassword), Addr: home, Replaces: first.Session.ID,
	})
	if err != nil {
		t.Fatal(err)
	}
	if second.Session.ID == first.Session.ID || second.Cookie.Equal(first.Cookie.Reveal()) || second.Session.Digest == first.Session.Digest {
		t.Error("the session kept its id or its secret")
	}
	w.wantLive("replaced", first, false)
	w.wantLive("replacing", second, true)
	w.wantGrant("an app of the replaced session", app, true)

	// Another person in the same browser: the former one is signed out, with what belongs to the session.
	third, err := w.people.SignIn(t.Context(), accounts.SignIn{
		Login: "bob", Password: secret.New(goodPassword), Addr: home, Replaces: second.Session.ID,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.wantLive("of the person before", second, false)
	w.wantGrant("an app of the person before", app, false)
	w.wantLive("of the person now", third, true)

	// A failed sign-in ends nothing.
	if _, err := w.people.SignIn(t.Context(), accounts.SignIn{Login: "alice", Password: secret.New("wrong"), Addr: home, Replaces: third.Session.ID}); !errors.Is(err, accounts.ErrCredentials) {
		t.Fatal(err)
	}
	w.wantLive("after somebody else failed", third, true)

	// A session that is gone already is no obstacle.
	if _, err := w.people.SignIn(t.Context(), accounts.SignIn{Login: "bob", Password: secret.New(goodPassword), Addr: home, Replaces: secret.NewID(w.clock())}); err != nil {
		t.Errorf("replacing an unknown session: %v", err)
	}
}

// When the other person's session cannot be ended, nobody is signed in.
func TestHT_2_FormerSessionMustEnd(t *testing.T) {
	w := open(t)
	w.create("alice")
	w.create("bob")
	former := w.signIn("alice")
	w.revoker.fail = errors.New("disk is full")
	_, err := w.people.SignIn(t.Context(), accounts.SignIn{Login: "bob", Password: secret.New(goodPassword), Addr: home, Replaces: former.Session.ID})
	if !errors.Is(err, w.revoker.fail) {
		t.Fatalf("err = %v, want the revoker's", err)
	}
	if n := len(w.events(authority.EventSignedIn)); n != 1 {
		t.Errorf("%d sign-ins in the history, want 1", n)
	}
}

// Both at once: the account is disabled (or gets another password) while a
// sign-in computes its hash. Whoever wins, no session survives.
func TestSignIn_AccountChangesMeanwhile(t *testing.T) {
	for name, change := range map[string]func(w *world, a authority.Account) error{
		"disabled": func(w *world, a authority.Account) error {
			_, err := w.people.Disable(w.t.Context(), admin, a.ID, "left")
			return err
		},
		"new password": func(w *world, a authority.Account) error {
			_, err := w.people.SetPassword(w.t.Context(), admin, a.ID, secret.New("another otter cliff waltz"), "leaked")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, func(c *accounts.Config) { c.HashConcurrency = 4 })
			a := w.create("alice")
			w.people.BeforeNextHash(func() {
				if err := change(w, a); err != nil {
					t.Error(err)
				}
			})
			if _, err := w.try("alice", goodPassword, home); !errors.Is(err, accounts.ErrCredentials) {
				t.Fatalf("err = %v, want ErrCredentials", err)
			}
			if name == "disabled" {
				if _, err := w.people.Enable(t.Context(), admin, a.ID, "back"); err != nil {
					t.Fatal(err)
				}
			}
			sessions, err := w.people.Sessions(t.Context(), a.ID, authority.Page{})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range sessions {
				if s.Live(w.clock()) {
					t.Error("a session survived")
				}
			}
		})
	}
}

// A profile change during the sign-in is no reason to refuse it.
func TestSignIn_ProfileChangesMeanwhile(t *testing.T) {
	w := open(t)
	a := w.create("alice")
	w.people.BeforeNextHash(func() {
		if _, err := w.people.UpdateProfile(t.Context(), admin, a.ID, accounts.Profile{Login: "alice", Name: "Alice L."}, ""); err != nil {
			t.Error(err)
		}
	})
	in, err := w.try("alice", goodPassword, home)
	if err != nil {
		t.Fatal(err)
	}
	if in.Account.Name != "Alice L." {
		t.Errorf("name = %q, want the one stored by now", in.Account.Name)
	}
}

// A hash that is cheaper than today's is made again at sign-in.
func TestSignIn_StrengthensHash(t *testing.T) {
	w := open(t)
	a := w.create("alice") // a cheap hash
	strong, err := accounts.New(accounts.Config{Accounts: w.store, Sessions: w.store, Events: w.store, Revoker: w.revoker, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	in, err := strong.SignIn(t.Context(), accounts.SignIn{Login: "alice", Password: secret.New(goodPassword), Addr: home})
	if err != nil {
		t.Fatal(err)
	}
	after, err := strong.Get(t.Context(), a.ID)
	if err != nil || after.PasswordHash == a.PasswordHash || !strings.Contains(after.PasswordHash, "$m=19456,t=2,p=1$") {
		t.Fatalf("the hash kept its cost: %v", err)
	}
	if in.Account.Version != after.Version {
		t.Errorf("version = %d, want %d", in.Account.Version, after.Version)
	}
	hashes, _ := strong.CountHashes()
	again, err := strong.SignIn(t.Context(), accounts.SignIn{Login: "alice", Password: secret.New(goodPassword), Addr: home})
	if err != nil || hashes.Load() != 1 {
		t.Errorf("second sign-in: %d hashes, %v; want 1", hashes.Load(), err)
	}
	w.wantLive("first", in, true)
	w.wantLive("second", again, true)
}

func TestSignIn_CookieAndSession(t *testing.T) {
	w := open(t, func(c *accounts.Config) { c.SessionIdle, c.SessionAbsolute = 30*time.Minute, 2*time.Hour })
	alice := w.create("alice")
	in := w.signIn("alice")
	s, now := in.Session, w.clock()
	raw, err := base64.RawURLEncoding.DecodeString(in.Cookie.Reveal())
	if err != nil || len(raw) != 48 || secret.ID(raw[:16]) != s.ID || secret.Digest(string(raw[16:])) != s.Digest {
		t.Fatalf("the cookie is not base64url(id, secret): %d bytes, %v", len(raw), err)
	}
	if s.AccountID != alice.ID || !s.AuthTime.Equal(now) || !s.IdleUntil.Equal(now.Add(30*time.Minute)) || !s.ExpiresAt.Equal(now.Add(2*time.Hour)) {
		t.Errorf("session = %+v", s)
	}
	if want := (authority.Context{Network: "192.0.2.0/24", UserAgent: "test browser"}); s.First != want || s.Last != want {
		t.Errorf("contexts = %+v, %+v; want %+v", s.First, s.Last, want)
	}
	if events := w.events(authority.EventSignedIn); len(events) != 1 || events[0].SessionID != s.ID || events[0].AccountID != alice.ID {
		t.Errorf("events = %+v", events)
	}
	long, err := w.people.SignIn(t.Context(), accounts.SignIn{Login: "alice", Password: secret.New(goodPassword), UserAgent: strings.Repeat("é", 1000)})
	if err != nil || len(long.Session.First.UserAgent) > 256 || long.Session.First.Network != "" {
		t.Errorf("user agent of %d bytes, network %q, %v", len(long.Session.First.UserAgent), long.Session.First.Network, err)
	}
}

// NI-3: failures from one network make the owner wait nowhere else.
func TestNI_3_OwnerIsNotLockedOut(t *testing.T) {
	w := open(t)
	w.create("alice")
	for i := range 10 {
		if _, err := w.try("alice", "wrong", away); !errors.Is(err, accounts.ErrCredentials) {
			t.Fatalf("attempt %d: %v", i+1, err)
		}
	}
	hashes, _ := w.people.CountHashes()
	_, err := w.try("alice", goodPassword, away)
	if wait := wantWait(t, "the right password, after 10 failures", err); wait != time.Second {
		t.Errorf("wait = %v, want 1 s", wait)
	}
	if hashes.Load() != 0 {
		t.Error("a throttled attempt cost a hash")
	}
	if _, err := w.try("alice", goodPassword, netip.MustParseAddr("198.51.101.9")); err != nil {
		t.Errorf("the owner, in another network: %v", err)
	}
	if _, err := w.try("bob", "wrong", away); !errors.Is(err, accounts.ErrCredentials) {
		t.Errorf("another login from the same network: %v", err)
	}
	if events := w.events(authority.EventThrottled); len(events) != 1 || events[0].Context.Network != "198.51.100.0/24" {
		t.Errorf("events = %+v, want one throttled", events)
	}
}

// NI-3: delays grow, and a success starts afresh.
func TestNI_3_DelaysGrowAndSuccessResets(t *testing.T) {
	w := open(t, func(c *accounts.Config) { c.Limits.MaxDelay = 6 * time.Second })
	w.create("alice")
	for range 10 {
		_, _ = w.try("alice", "wrong", home)
	}
	for i, want := range []time.Duration{1, 2, 4, 6, 6} {
		_, err := w.try("alice", "wrong", home)
		if got := wantWait(t, "too early", err); got != want*time.Second {
			t.Errorf("wait %d = %v, want %v", i+1, got, want*time.Second)
		}
		w.pass(want * time.Second)
		if _, err := w.try("alice", "wrong", home); !errors.Is(err, accounts.ErrCredentials) {
			t.Errorf("after wait %d: %v", i+1, err)
		}
	}
	w.pass(6 * time.Second)
	w.signIn("alice")
	for range 9 {
		if _, err := w.try("alice", "wrong", home); !errors.Is(err, accounts.ErrCredentials) {
			t.Fatalf("after a success: %v", err)
		}
	}
	w.signIn("alice")
}

// A disabled account is no way to try passwords without being counted.
func TestNI_3_DisabledAccountsCount(t *testing.T) {
	w := open(t)
	a := w.create("alice")
	if _, err := w.people.Disable(t.Context(), admin, a.ID, ""); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := w.try("alice", goodPassword, home); !errors.Is(err, accounts.ErrCredentials) {
			t.Fatal(err)
		}
	}
	_, err := w.try("alice", goodPassword, home)
	wantWait(t, "the 11th attempt", err)
}

// NI-3: an unknown login is throttled like an existing one, or the difference would tell.
func TestNI_3_UnknownLoginsAreThrottledAlike(t *testing.T) {
	w := open(t)
	w.create("alice")
	for i := range 12 {
		_, known := w.try("alice", "wrong", home)
		_, unknown := w.try("nobody", "wrong", home)
		if fmt.Sprint(known) != fmt.Sprint(unknown) {
			t.Errorf("attempt %d: %v for a known login, %v for an unknown one", i+1, known, unknown)
		}
	}
	if got := len(w.events(authority.EventThrottled)); got != 2 {
		t.Errorf("%d throttled events, want one for each", got)
	}
}

// GEN-11: one network cannot try many logins.
func TestGEN_11_NetworkIsThrottled(t *testing.T) {
	w := open(t, func(c *accounts.Config) { c.Limits.AddressFailures = 30 })
	w.create("alice")
	for i := range 30 {
		if _, err := w.try(fmt.Sprint("user", i), "wrong", netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})); !errors.Is(err, accounts.ErrCredentials) {
			t.Fatalf("attempt %d: %v", i+1, err)
		}
	}
	_, err := w.try("user99", "wrong", away)
	wantWait(t, "the 31st login", err)
	w.signIn("alice")

	// Signing in as oneself does not clear the network's failures.
	w = open(t, func(c *accounts.Config) { c.Limits.AddressFailures = 30 })
	w.create("mallory")
	for i := range 29 {
		_, _ = w.try(fmt.Sprint("user", i), "wrong", away)
	}
	if _, err := w.try("mallory", goodPassword, away); err != nil {
		t.Fatal(err)
	}
	_, _ = w.try("user29", "wrong", away)
	_, err = w.try("user30", "wrong", away)
	wantWait(t, "after the attacker signed in as himself", err)
}

// NI-3: at most 100 failures in a row over all networks; then the password works
// only where the account is known.
func TestNI_3_Ceiling(t *testing.T) {
	w := open(t)
	alice := w.create("alice")
	w.signIn("alice") // makes home known
	network := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i), 1}) }
	for i := range 100 {
		if _, err := w.try("alice", "wrong", network(i)); !errors.Is(err, accounts.ErrCredentials) {
			t.Fatalf("attempt %d: %v", i+1, err)
		}
	}
	_, err := w.try("alice", goodPassword, network(101))
	if wait := wantWait(t, "after 100 failures in a row", err); wait != 24*time.Hour {
		t.Errorf("wait = %v, want 24 h", wait)
	}
	// A wrong guess at home does not open the door elsewhere; the owner at home signs in.
	if _, err := w.try("alice", "wrong", home); !errors.Is(err, accounts.ErrCredentials) {
		t.Errorf("wrong password at home: %v", err)
	}
	_, err = w.try("alice", goodPassword, network(101))
	wantWait(t, "elsewhere, still", err)
	w.signIn("alice")
	if _, err := w.try("alice", goodPassword, network(101)); err != nil {
		t.Errorf("elsewhere, after the owner signed in: %v", err)
	}

	// An operator can open the door as well.
	for i := range 100 {
		_, _ = w.try("alice", "wrong", network(i+120))
	}
	_, err = w.try("alice", goodPassword, network(221))
	wantWait(t, "after 100 more", err)
	if _, err := w.people.SetPassword(t.Context(), admin, alice.ID, secret.New(goodPassword), "reset"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.try("alice", goodPassword, network(222)); err != nil {
		t.Errorf("after a new password: %v", err)
	}
}

// Any number of concurrent guesses get no further than the limit.
func TestNI_3_Concurrent(t *testing.T) {
	w := open(t, func(c *accounts.Config) { c.HashQueue = 1000 })
	w.create("alice")
	hashes, _ := w.people.CountHashes()
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() { _, _ = w.try("alice", "wrong", away) })
	}
	group.Wait()
	if got := hashes.Load(); got != 10 {
		t.Errorf("%d of 100 concurrent guesses were compared, want 10", got)
	}
}

// The history does not grow with an attack: one event a minute for each login
// and network, with a count, and a bound over all.
func TestSignIn_EventsAreSampled(t *testing.T) {
	w := open(t)
	alice := w.create("alice")
	for range 5 {
		_, _ = w.try("alice", "wrong", home)
	}
	w.pass(61 * time.Second)
	_, _ = w.try("alice", "wrong", home)
	events := w.events(authority.EventSignInFailed)
	if len(events) != 2 || events[1].Data["count"] != "1" || events[0].Data["count"] != "5" || events[0].AccountID != alice.ID {
		t.Errorf("events = %+v, want one of 1 and one of 5 failures", events)
	}
	for i := range 300 {
		_, _ = w.try("alice", "wrong", netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}))
		_, _ = w.try(fmt.Sprint("nobody", i), "wrong", netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 1}))
	}
	failed, throttled := len(w.events(authority.EventSignInFailed)), len(w.events(authority.EventThrottled))
	if failed > 2+120 || throttled > 120 || failed < 100 {
		t.Errorf("600 failures in one minute left %d and %d events, want at most 120 of a kind", failed, throttled)
	}
}

// What is not the visitor's fault is not counted, and is not ErrCredentials.
func TestSignIn_FaultsAreNotCounted(t *testing.T) {
	w := open(t)
	w.create("alice")
	w.revoker.fail = errors.New("unused")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		_, err := w.people.SignIn(ctx, accounts.SignIn{Login: "alice", Password: secret.New("wrong"), Addr: home})
		if err == nil || errors.Is(err, accounts.ErrCredentials) {
			t.Fatalf("with a dead context: %v", err)
		}
	}
	w.signIn("alice")
}
