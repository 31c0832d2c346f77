package accounts_test

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
)

func TestSession_IdleAndAbsolute(t *testing.T) {
	w := open(t)
	w.create("alice")
	idle := w.signIn("alice")
	w.pass(time.Hour - time.Second)
	w.wantLive("just before the idle end", idle, true) // and moves it
	w.pass(time.Hour - time.Second)
	w.wantLive("just before the idle end again", idle, true)
	w.pass(time.Hour)
	w.wantLive("at the idle end", idle, false)

	used := w.signIn("alice")
	for range 24*2 - 1 {
		w.pass(30 * time.Minute)
		w.wantLive("in use", used, true)
	}
	stored, err := w.store.Session(t.Context(), used.Session.ID)
	if err != nil || stored.IdleUntil.After(stored.ExpiresAt) {
		t.Errorf("idle until %v, after the absolute end %v (%v)", stored.IdleUntil, stored.ExpiresAt, err)
	}
	w.pass(30 * time.Minute)
	w.wantLive("24 h after the sign-in", used, false)
}

// countTouches counts what the store is asked to write.
type countTouches struct {
	authority.SessionStore
	touches int
	err     error
}

func (c *countTouches) TouchSession(ctx context.Context, s authority.Session) error {
	c.touches++
	if c.err != nil {
		return c.err
	}
	return c.SessionStore.TouchSession(ctx, s)
}

func TestSession_TouchedOnceAMinute(t *testing.T) {
	var counter *countTouches
	w := open(t, func(c *accounts.Config) {
		counter = &countTouches{SessionStore: c.Sessions}
		c.Sessions = counter
	})
	w.create("alice")
	in := w.signIn("alice")
	for range 120 {
		w.wantLive("in use", in, true)
		w.pass(time.Second)
	}
	if counter.touches != 1 {
		t.Errorf("%d writes in two minutes, want 1", counter.touches)
	}
	seen := authority.Context{Network: "198.51.100.0/24", UserAgent: "elsewhere"}
	got, _, err := w.people.Session(t.Context(), in.Cookie.Reveal(), seen)
	if err != nil || got.Last != seen || got.First == seen {
		t.Errorf("last = %+v, first = %+v, %v", got.Last, got.First, err)
	}
	stored, err := w.store.Session(t.Context(), in.Session.ID)
	if err != nil || stored.Last != seen || !stored.LastSeen.Equal(w.clock()) {
		t.Errorf("stored: %+v, %v", stored, err)
	}

	// A store that is overloaded signs nobody out; a session that ended meanwhile is gone.
	w.pass(2 * time.Minute)
	counter.err = authority.ErrBusy
	w.wantLive("with an overloaded store", in, true)
	counter.err = authority.ErrEnded
	w.wantLive("ended between reading and touching", in, false)
}

func TestSession_RefusesCookies(t *testing.T) {
	w := open(t)
	w.create("alice")
	in, other := w.signIn("alice"), w.signIn("alice")
	raw, err := base64.RawURLEncoding.DecodeString(in.Cookie.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	otherRaw, err := base64.RawURLEncoding.DecodeString(other.Cookie.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	changed := slices.Clone(raw)
	changed[47] ^= 1
	text := base64.RawURLEncoding.EncodeToString
	for name, bad := range map[string]string{
		"empty":                       "",
		"id alone":                    in.Session.ID.String(),
		"another secret":              text(changed),
		"secret of another session":   text(slices.Concat(raw[:16], otherRaw[16:])),
		"digest instead of secret":    text(slices.Concat(raw[:16], in.Session.Digest[:])),
		"cut":                         in.Cookie.Reveal()[:63],
		"longer":                      in.Cookie.Reveal() + "A",
		"padding":                     in.Cookie.Reveal()[:60] + "====",
		"line end":                    in.Cookie.Reveal()[:63] + "\n",
		"standard base64":             "+/" + in.Cookie.Reveal()[2:],
		"unknown session, zero bytes": text(make([]byte, 48)),
	} {
		if _, _, err := w.people.Session(t.Context(), bad, authority.Context{}); !errors.Is(err, accounts.ErrNoSession) {
			t.Errorf("%s: %v, want ErrNoSession", name, err)
		}
	}
	w.wantLive("the right one", in, true)
}

// SPECS 20.7, logout: the session and its grants end, and everything a browser
// app got in it; what another app keeps offline, and other sessions, stay.
func TestSignOut_WhatEnds(t *testing.T) {
	w := open(t)
	alice := w.create("alice")
	w.client("web", false)
	w.client("spa", true)
	in, other := w.signIn("alice"), w.signIn("alice")
	bound := w.grant(alice, in.Session, "web", false)
	offline := w.grant(alice, in.Session, "web", true)
	browser := w.grant(alice, in.Session, "spa", false)
	browserOffline := w.grant(alice, in.Session, "spa", true)
	elsewhere := w.grant(alice, other.Session, "web", false)

	if err := w.people.SignOut(t.Context(), in.Session, authority.Context{Network: "192.0.2.0/24"}); err != nil {
		t.Fatal(err)
	}
	w.wantLive("signed out", in, false)
	w.wantLive("the other browser", other, true)
	w.wantGrant("of the session", bound, false)
	w.wantGrant("offline", offline, true)
	w.wantGrant("of a browser app", browser, false)
	w.wantGrant("of a browser app, offline", browserOffline, false)
	w.wantGrant("of the other session", elsewhere, true)
	events := w.events(authority.EventSignedOut)
	if len(events) != 1 || events[0].AccountID != alice.ID || events[0].SessionID != in.Session.ID || events[0].Actor.ID != alice.Subject() {
		t.Errorf("events = %+v", events)
	}
	// A second sign-out changes nothing.
	if err := w.people.SignOut(t.Context(), in.Session, authority.Context{}); err != nil || len(w.events(authority.EventSignedOut)) != 1 {
		t.Errorf("second sign-out: %v", err)
	}
}
