package client

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefresh_KeepsTheLatestGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		store := NewMemoryStore(SignIn{RefreshToken: a.currentRefresh()})
		k := a.refresher(t, store)
		for range 20 {
			mustToken(t, k)
			time.Sleep(6 * time.Minute)
		}
		wantCounts(t, a, counts{Requests: 20, Issued: 20, Steps: 20})
	})
}

func TestRefresh_ManySourcesOnOneStoreTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.at = slow(time.Second)
		store := NewMemoryStore(SignIn{RefreshToken: a.currentRefresh()})
		together(50, func() {
			if _, err := a.refresher(t, store).Token(t.Context()); err != nil {
				t.Error(err)
			}
		})
		wantCounts(t, a, counts{Requests: 1, Issued: 1, Steps: 1})
	})
}

func TestRefresh_NoRotationKeepsTheRefreshToken(t *testing.T) {
	a := newAuthority(t)
	a.at = func(stage string, w http.ResponseWriter, _ *http.Request) bool {
		body(`{"access_token":"bound","token_type":"Bearer","expires_in":300,"scope":"read"}`)(w)
		return stage == "received"
	}
	first := a.currentRefresh()
	store := NewMemoryStore(SignIn{RefreshToken: first})
	wantToken(t, a.refresher(t, store), "bound")
	if held, _ := store.Load(t.Context()); !held.RefreshToken.Equal(first) {
		t.Fatal("the refresh token is gone")
	}
}

func TestRefresh_SignInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		store := NewMemoryStore(SignIn{})
		k := a.refresher(t, store)
		if _, err := k.Token(t.Context()); !errors.Is(err, ErrSignInAgain) {
			t.Fatalf("nothing stored: got %v", err)
		}
		wantCounts(t, a, counts{})

		sign := func() {
			if err := store.Save(t.Context(), SignIn{RefreshToken: a.newGrant()}); err != nil {
				t.Fatal(err)
			}
		}
		sign()
		first := wantToken(t, k, "at-1") // at once, not after a pause
		a.end()
		time.Sleep(4*time.Minute + 30*time.Second)
		wantToken(t, k, "at-1") // the refresh in the background fails; the token works until it expires
		synctest.Wait()
		wantToken(t, k, "at-1")
		wantCounts(t, a, counts{Requests: 2, Issued: 1, Steps: 1})

		// The same refresh token is not sent a second time, by whatever way the source is asked.
		time.Sleep(2 * time.Second)
		if _, err := k.Refresh(t.Context(), first); !errors.Is(err, ErrSignInAgain) {
			t.Fatalf("refused: got %v", err)
		}
		// API and authority are of one mind now: the token is not served any more, and not found again in
		// the store either, where it is still unexpired.
		for range 10 {
			if _, err := k.Token(t.Context()); !errors.Is(err, ErrSignInAgain) {
				t.Fatalf("over: got %v", err)
			}
		}
		wantCounts(t, a, counts{Requests: 2, Issued: 1, Steps: 1})

		sign()
		wantToken(t, k, "at-2")
	})
}

func TestRefresh_RefusedTokenAlreadyReplacedByAnotherProcess(t *testing.T) {
	a := newAuthority(t)
	path := filepath.Join(t.TempDir(), "app", "sign-in.json")
	if err := NewFileStore(path).Save(t.Context(), SignIn{RefreshToken: a.currentRefresh()}); err != nil {
		t.Fatal(err)
	}
	one, two := a.refresher(t, NewFileStore(path)), a.refresher(t, NewFileStore(path))
	used := wantToken(t, one, "at-1")
	wantToken(t, two, "at-1") // from the file
	if got, err := one.Refresh(t.Context(), used); err != nil || got.AccessToken.Reveal() != "at-2" {
		t.Fatalf("got %v, %v", got.AccessToken.Reveal(), err)
	}
	wantToken(t, two, "at-1") // it does not know yet, and the token is good
	got, err := two.Refresh(t.Context(), used)
	if err != nil || got.AccessToken.Reveal() != "at-2" {
		t.Fatalf("got %v, %v", got.AccessToken.Reveal(), err)
	}
	wantCounts(t, a, counts{Requests: 2, Issued: 2, Steps: 2})
	if held, _ := NewFileStore(path).Load(t.Context()); !held.Token.Expiry.Equal(got.Expiry) || held.Token.Scope != "read" || held.Token.Type != "Bearer" {
		t.Fatalf("stored: %v", held)
	}
}

// brokenStore cannot write, or says so although it did.
type brokenStore struct {
	*MemoryStore
	writes bool
}

func (b brokenStore) Update(ctx context.Context, change func(SignIn) (SignIn, error)) error {
	held, _ := b.Load(ctx)
	next, err := change(held)
	if err != nil {
		return err
	}
	if b.writes {
		_ = b.Save(ctx, next)
	}
	return errors.New("disk full")
}

func TestRefresh_WhatCannotBeStoredIsNotUsedToRefresh(t *testing.T) {
	for name, writes := range map[string]bool{"not stored": false, "stored after all": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority(t)
				reported := 0
				c := a.config()
				c.Store = brokenStore{NewMemoryStore(SignIn{RefreshToken: a.currentRefresh()}), writes}
				c.OnError = func(error) { reported++ }
				k, err := Refresh(c)
				if err != nil {
					t.Fatal(err)
				}
				for range 5 {
					mustToken(t, k) // the access token is good, so it is served
					time.Sleep(6 * time.Minute)
				}
				if got := a.counts(); got.Replays != 0 || got.Issued != 5 {
					t.Fatalf("got %+v: the sign-in was lost", got)
				}
				if reported != 5 {
					t.Fatalf("OnError was told %d times, want 5", reported)
				}
			})
		})
	}
}
