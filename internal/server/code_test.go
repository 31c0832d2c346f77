package server_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/oauth"
)

func TestCOD_1_CodeOfAnotherClient(t *testing.T) {
	w := newWorld(t, options{})
	code := w.code("web")
	w.redeem("other", code).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.redeem("spa", code).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.redeem("web", code).ok() // still good for its own client
	public := w.code("spa")
	w.redeem("web", public).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.redeem("spa", public).ok()
}

func TestCOD_2_UnknownExpiredMalformed(t *testing.T) {
	w := newWorld(t, options{})
	good := w.code("web")
	last := "A"
	if strings.HasSuffix(good, "A") {
		last = "Q"
	}
	for name, code := range map[string]string{
		"garbage":              "x",
		"of the right form":    "jc_" + strings.Repeat("Ab0_", 16),
		"another secret":       good[:len(good)-1] + last,
		"cut":                  good[:len(good)-1],
		"with something after": good + "A",
		"a refresh token":      w.signedIn("web").text("refresh_token"),
		"space":                " ",
	} {
		t.Run(name, func(t *testing.T) {
			w.redeem("web", code).refused(http.StatusBadRequest, oauth.InvalidGrant)
		})
	}
	w.redeem("web", good).ok()

	code := w.code("web")
	w.clock.advance(59 * time.Second)
	w.redeem("web", code).ok()
	code = w.code("web")
	w.clock.advance(60 * time.Second) // its lifetime is over the second it ends
	w.redeem("web", code).refused(http.StatusBadRequest, oauth.InvalidGrant)
	code = w.code("web")
	w.clock.advance(61 * time.Second)
	w.redeem("web", code).refused(http.StatusBadRequest, oauth.InvalidGrant)
}

func TestCOD_2_CodeOfAnEndedSession(t *testing.T) {
	w := newWorld(t, options{})
	for name, end := range map[string]func(authority.Session) error{
		"signed out": func(s authority.Session) error {
			return w.parts.Accounts.SignOut(t.Context(), s, authority.Context{})
		},
		"disabled": func(s authority.Session) error {
			_, err := w.parts.Accounts.Disable(t.Context(), admin(), s.AccountID, "test")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, names := range [][]string{{"read"}, {"read", "offline_access"}} {
				person := w.account(strings.ReplaceAll(name+strings.Join(names, ""), " ", ""), "")
				s := w.session(person)
				code := w.code("web", in(s), scope(names...))
				must(t, end(s))
				w.redeem("web", code).refused(http.StatusBadRequest, oauth.InvalidGrant)
			}
		})
	}
}

func TestCOD_3_Verifier(t *testing.T) {
	w := newWorld(t, options{})
	code := w.code("web")
	present := func(verifier string) answer {
		return w.post("/token", "web", "grant_type", "authorization_code", "code", code, "code_verifier", verifier)
	}
	for name, v := range map[string]string{
		"missing":           "",
		"wrong":             wrong,
		"42 characters":     verifier[:42],
		"129 characters":    strings.Repeat("a", 129),
		"V-11: lax base64":  verifier[:42] + "l",
		"the challenge":     oauth.Challenge(verifier),
		"a space at an end": verifier + " ",
	} {
		t.Run(name, func(t *testing.T) { present(v).refused(http.StatusBadRequest, oauth.InvalidGrant) })
	}
	present(verifier).ok() // none of them burnt it

	// PK-4: a verifier of the wrong syntax, even when its hash matches.
	for _, bad := range []string{strings.Repeat("a", 42), strings.Repeat("a", 129), strings.Repeat("a", 43) + "+", strings.Repeat("a", 43) + "="} {
		code := w.code("web", func(c *authority.Code) { c.Challenge = oauth.Challenge(bad) })
		w.post("/token", "web", "grant_type", "authorization_code", "code", code, "code_verifier", bad).
			refused(http.StatusBadRequest, oauth.InvalidGrant)
	}
}

// A verifier for a code without a challenge means that somebody took the
// challenge out on the way (RFC 9700 section 4.8.2).
func TestCOD_3_DowngradeIsRefused(t *testing.T) {
	w := newWorld(t, options{})
	w.client(clients.Spec{ID: "old", GrantTypes: []string{oauth.AuthorizationCode}, RedirectURIs: []string{"https://old.example.com/cb"},
		Scope: everything, WithoutPKCE: true})
	code := w.code("old", func(c *authority.Code) { c.Challenge, c.Nonce = "", "n" })
	w.redeem("old", code).refused(http.StatusBadRequest, oauth.InvalidRequest)
	w.post("/token", "old", "grant_type", "authorization_code", "code", code).ok()
}

func TestCOD_4_RedirectURI(t *testing.T) {
	w := newWorld(t, options{})
	code := w.code("web")
	for _, uri := range []string{"https://app.example.com/cb/", "https://APP.example.com/cb", "https://app.example.com/cb?a=b", "https://app.example.com:443/cb", "https://evil.example/cb"} {
		w.redeem("web", code, "redirect_uri", uri).refused(http.StatusBadRequest, oauth.InvalidGrant)
	}
	w.redeem("web", code, "redirect_uri", "https://app.example.com/cb").ok()
	w.redeem("web", w.code("web")).ok() // OAuth 2.1 does not need it
}

// SPECS 20.7, valid code replay: the session stays, the grant and everything
// made under it ends.
func TestCOD_5_ValidReplayEndsTheGrant(t *testing.T) {
	for _, client := range []string{"web", "spa"} {
		t.Run(client, func(t *testing.T) {
			w := newWorld(t, options{})
			s := w.session(w.person)
			bystander := w.signedIn(client, in(s))
			code := w.code(client, in(s))
			first := w.redeem(client, code).ok()
			second := w.refresh(client, first.text("refresh_token")).ok()
			w.redeem(client, code).refused(http.StatusBadRequest, oauth.InvalidGrant)
			w.wantDead("the first access token", first.text("access_token"))
			w.wantDead("the refreshed access token", second.text("access_token"))
			for _, token := range []string{first.text("refresh_token"), second.text("refresh_token")} {
				w.refresh(client, token).refused(http.StatusBadRequest, oauth.InvalidGrant)
			}
			w.wantEvents(authority.EventCodeReplayed, 1)
			if e := w.events(authority.EventCodeReplayed); len(e) == 1 && (e[0].ClientID != client || e[0].AccountID != w.person.ID || e[0].SessionID != s.ID || e[0].GrantID.IsZero()) {
				t.Errorf("the event is %+v", e[0])
			}
			if !w.sessionAlive(s.ID) {
				t.Error("the session ended")
			}
			w.wantAlive("another grant of the session", bystander.text("access_token"))
			w.refresh(client, bystander.text("refresh_token")).ok()
			w.redeem(client, code).refused(http.StatusBadRequest, oauth.InvalidGrant)
			w.wantEvents(authority.EventCodeReplayed, 1) // a third time ends nothing more
		})
	}
}

// A code that was used is a replay even after its own lifetime, and after upkeep.
func TestCOD_5_LateReplay(t *testing.T) {
	w := newWorld(t, options{})
	code := w.code("web")
	first := w.redeem("web", code).ok()
	w.clock.advance(2 * time.Minute)
	w.server.Sweep(t.Context())
	w.redeem("web", code).refused(http.StatusBadRequest, oauth.InvalidGrant)
	w.wantDead("the access token", first.text("access_token"))
}

func TestCOD_5_InvalidReplayEndsNothing(t *testing.T) {
	w := newWorld(t, options{})
	code := w.code("web")
	first := w.redeem("web", code).ok()
	form := []string{"grant_type", "authorization_code", "code", code}
	for name, r := range map[string]*http.Request{
		"wrong verifier":       w.form("/token", "web", append(form, "code_verifier", wrong)...),
		"no verifier":          w.form("/token", "web", form...),
		"another client":       w.form("/token", "other", append(form, "code_verifier", verifier)...),
		"public client":        w.form("/token", "spa", append(form, "code_verifier", verifier)...),
		"client without proof": w.form("/token", "", append(form, "code_verifier", verifier, "client_id", "web")...),
		"wrong client secret":  w.form("/token", "", append(form, "code_verifier", verifier, "client_id", "web", "client_secret", "x")...),
		"another redirect_uri": w.form("/token", "web", append(form, "code_verifier", verifier, "redirect_uri", "https://app.example.com/")...),
		"another secret part":  w.form("/token", "web", "grant_type", "authorization_code", "code", code[:len(code)-8]+"AAAAAAAA", "code_verifier", verifier),
	} {
		if a := w.do(r); a.status != http.StatusBadRequest && a.status != http.StatusUnauthorized {
			t.Errorf("%s: got %d", name, a.status)
		}
		w.wantAlive("the access token, after a replay with "+name, first.text("access_token"))
	}
	w.refresh("web", first.text("refresh_token")).ok()
	w.wantEvents(authority.EventCodeReplayed, 0)
}

// parallel sends n requests at the same moment and returns the answers.
func parallel(n int, request func(i int) *http.Request, do func(*http.Request) answer) []answer {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	answers := make([]answer, n)
	for i := range n {
		r := request(i)
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			answers[i] = do(r)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return answers
}

func TestCOD_6_ParallelRedemptions(t *testing.T) {
	w := newWorld(t, options{})
	for _, n := range []int{20, 50} {
		code := w.code("web")
		before := len(w.events(authority.EventCodeReplayed))
		var won []answer
		for _, a := range parallel(n, func(int) *http.Request {
			return w.form("/token", "web", "grant_type", "authorization_code", "code", code, "code_verifier", verifier)
		}, w.do) {
			if a.status == http.StatusOK {
				won = append(won, a)
			} else {
				a.refused(http.StatusBadRequest, oauth.InvalidGrant)
			}
		}
		if len(won) != 1 {
			t.Fatalf("%d of %d redemptions succeeded, want 1", len(won), n)
		}
		// The others proved to be the rightful client too: a client that sends one
		// code twice cannot be told from a thief, so the grant ends (COD-5).
		w.wantDead("the winner's access token", won[0].text("access_token"))
		w.refresh("web", won[0].text("refresh_token")).refused(http.StatusBadRequest, oauth.InvalidGrant)
		w.wantEvents(authority.EventCodeReplayed, before+1)
	}
}

func TestCOD_6_ParallelRedemptionsWithAWrongVerifierEndNothing(t *testing.T) {
	w := newWorld(t, options{})
	code := w.code("web")
	ok := 0
	var won answer
	for _, a := range parallel(50, func(i int) *http.Request {
		v := wrong
		if i == 25 {
			v = verifier
		}
		return w.form("/token", "web", "grant_type", "authorization_code", "code", code, "code_verifier", v)
	}, w.do) {
		if a.status == http.StatusOK {
			ok, won = ok+1, a
		}
	}
	if ok != 1 {
		t.Fatalf("%d redemptions succeeded, want 1", ok)
	}
	w.wantAlive("the access token", won.text("access_token"))
	w.refresh("web", won.text("refresh_token")).ok()
	w.wantEvents(authority.EventCodeReplayed, 0)
}
