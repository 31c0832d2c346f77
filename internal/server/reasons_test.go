package server_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// Every reason of the table is what a client is told, with the table's status
// and error, in the header and in the body.
func TestReasons_OfTheAuthority(t *testing.T) {
	refreshed := func(w *world, end func(a answer, s authority.Session), edit ...func(*authority.Code)) answer {
		s := w.session(w.person)
		a := w.signedIn("web", append(edit, in(s))...)
		end(a, s)
		return w.refresh("web", a.text("refresh_token"))
	}
	cases := map[string]func(w *world) answer{
		string(oauth.InvalidRequest): func(w *world) answer { return w.post("/token", "web", "grant_type", "refresh_token") },
		oauth.ReasonMethodNotAllowed: func(w *world) answer { return w.get("/token") },
		oauth.ReasonTooLarge:         func(w *world) answer { return w.post("/revoke", "web", "token", strings.Repeat("x", 1<<20)) },
		string(oauth.InvalidClient): func(w *world) answer {
			return w.post("/introspect", "", "client_id", "web", "client_secret", "wrong", "token", "x")
		},
		oauth.ReasonTooManyAttempts: func(w *world) (last answer) {
			for range 30 {
				last = w.post("/token", "", "client_id", "post", "client_secret", "wrong", "grant_type", "client_credentials")
			}
			return last
		},
		string(oauth.UnauthorizedClient):   func(w *world) answer { return w.post("/token", "web", "grant_type", "client_credentials") },
		string(oauth.UnsupportedGrantType): func(w *world) answer { return w.post("/token", "web", "grant_type", "password") },
		string(oauth.InvalidScope): func(w *world) answer {
			return w.post("/token", "machine", "grant_type", "client_credentials", "scope", "a  b")
		},
		oauth.ReasonScopeNotGranted: func(w *world) answer {
			return w.refresh("web", w.signedIn("web").text("refresh_token"), "scope", "read admin")
		},
		oauth.ReasonInvalidCode: func(w *world) answer { return w.redeem("other", w.code("web")) },
		oauth.ReasonWrongCodeVerifier: func(w *world) answer {
			return w.post("/token", "web", "grant_type", "authorization_code", "code", w.code("web"), "code_verifier", wrong)
		},
		oauth.ReasonRefreshMalformed: func(w *world) answer { return w.refresh("web", "jr_x") },
		oauth.ReasonRefreshUnknown:   func(w *world) answer { return w.refresh("other", w.signedIn("web").text("refresh_token")) },
		oauth.ReasonRefreshIdle: func(w *world) answer {
			return refreshed(w, func(answer, authority.Session) { w.clock.advance(15 * 24 * time.Hour) }, scope("read", "offline_access"))
		},
		oauth.ReasonRefreshExpired: func(w *world) answer {
			return refreshed(w, func(answer, authority.Session) { w.clock.advance(25 * time.Hour) })
		},
		oauth.ReasonRefreshReused: func(w *world) answer {
			return refreshed(w, func(a answer, _ authority.Session) {
				next := w.refresh("web", a.text("refresh_token")).ok()
				w.refresh("web", next.text("refresh_token")).ok()
			})
		},
		oauth.ReasonCodeReplayed: func(w *world) answer {
			code := w.code("web")
			first := w.redeem("web", code).ok()
			w.redeem("web", code).refused(http.StatusBadRequest, oauth.InvalidGrant)
			return w.refresh("web", first.text("refresh_token"))
		},
		oauth.ReasonRevoked: func(w *world) answer {
			return refreshed(w, func(a answer, _ authority.Session) { w.post("/revoke", "web", "token", a.text("refresh_token")).ok() })
		},
		oauth.ReasonSessionEnded: func(w *world) answer {
			return refreshed(w, func(_ answer, s authority.Session) {
				must(w.t, w.parts.Accounts.EndSession(w.t.Context(), admin(), s.ID, "signed out"))
			})
		},
		oauth.ReasonAccountDisabled: func(w *world) answer {
			return refreshed(w, func(answer, authority.Session) {
				_, err := w.parts.Accounts.Disable(w.t.Context(), admin(), w.person.ID, "left")
				must(w.t, err)
			})
		},
		oauth.ReasonPasswordChanged: func(w *world) answer {
			return refreshed(w, func(answer, authority.Session) {
				_, err := w.parts.Accounts.SetPassword(w.t.Context(), admin(), w.person.ID, secret.New("another long password, of words"), "")
				must(w.t, err)
			}, scope("read", "offline_access"))
		},
		oauth.ReasonConsentWithdrawn: func(w *world) answer {
			return refreshed(w, func(answer, authority.Session) {
				must(w.t, w.parts.Tokens.Revoke(w.t.Context(), authority.Revocation{
					Consent: &authority.Consent{AccountID: w.person.ID, ClientID: "web"}, Event: w.event(authority.EventConsentWithdrawn),
				}))
			})
		},
	}
	provoked := maps.Clone(rareReasons)
	for code, provoke := range cases {
		provoked[code] = func(t *testing.T) answer { return provoke(newWorld(t, options{})) }
	}
	for _, reason := range oauth.Reasons(oauth.AtAuthority) {
		provoke, ok := provoked[reason.Code]
		if !ok {
			t.Errorf("%s is in the table, and no test provokes it", reason.Code)
			continue
		}
		delete(provoked, reason.Code)
		t.Run(reason.Code, func(t *testing.T) {
			a := provoke(t)
			if a.text("reason") != reason.Code {
				t.Errorf("got %d %s, want the reason %s", a.status, a.body, reason.Code)
			}
			a.refused(reason.Status, reason.Error) // with the table's status and error, and the header
			if a.header.Get("Retry-After") == "" && reason.Code == oauth.ReasonTooManyAttempts {
				t.Error("no Retry-After")
			}
		})
	}
	for code := range provoked {
		t.Errorf("%s is not in the table", code)
	}
}

// Whoever has not shown a token of ours that belongs to them learns nothing.
func TestReasons_StrangersGetOneCode(t *testing.T) {
	w := newWorld(t, options{})
	live, ended := w.signedIn("web"), w.signedIn("web")
	w.post("/revoke", "web", "token", ended.text("refresh_token")).ok()
	flip := func(token string) string {
		at := len(token) / 2
		return token[:at] + string(token[at]^1) + token[at+1:]
	}
	var first answer
	for name, a := range map[string]answer{
		"live, of another client":  w.refresh("other", live.text("refresh_token")),
		"ended, of another client": w.refresh("other", ended.text("refresh_token")),
		"a browser app":            w.refresh("spa", ended.text("refresh_token")),
	} {
		if first.body == "" {
			first = a
		}
		if a.body != first.body || a.text("reason") != oauth.ReasonRefreshUnknown {
			t.Errorf("%s: %s, want the same as others: %s", name, a.body, first.body)
		}
	}
	if a := w.refresh("web", flip(live.text("refresh_token"))); a.text("reason") != oauth.ReasonRefreshMalformed { // its checksum is for scanners, and no secret
		t.Errorf("damaged: %s", a.body)
	}
	for name, a := range map[string]answer{
		"unknown client": w.post("/token", "", "client_id", "nobody", "client_secret", "x", "grant_type", "refresh_token", "refresh_token", live.text("refresh_token")),
		"wrong secret":   w.post("/token", "", "client_id", "other", "client_secret", "x", "grant_type", "refresh_token", "refresh_token", live.text("refresh_token")),
	} {
		if a.text("reason") != string(oauth.InvalidClient) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	codes := map[string]answer{
		"unknown": w.redeem("web", "jc_"+strings.Repeat("A", 64)), "of another client": w.redeem("other", w.code("web")), "malformed": w.redeem("web", "x"),
	}
	for name, a := range codes {
		if a.body != codes["unknown"].body || a.text("reason") != oauth.ReasonInvalidCode {
			t.Errorf("a code that is %s: %s", name, a.body)
		}
	}
}

// Why a token is not active the client that it was issued to is told, and the
// API that it is for; beside the answer, which stays what RFC 7662 says.
func TestReasons_OfIntrospection(t *testing.T) {
	w := newWorld(t, options{})
	s := w.session(w.person)
	expired := w.signedIn("web", in(s)).text("access_token")
	w.clock.advance(6 * time.Minute)
	revoked, ended := w.signedIn("web", in(s)).text("access_token"), ""
	w.post("/revoke", "web", "token", revoked).ok()
	other := w.session(w.person)
	ended = w.signedIn("web", in(other)).text("access_token")
	must(t, w.parts.Accounts.EndSession(t.Context(), admin(), other.ID, "signed out"))
	live := w.signedIn("web", in(s)).text("access_token")
	for token, want := range map[string]string{expired: "expired", revoked: "revoked", ended: "session_ended", live: "", live + "A": "", "x": ""} {
		for caller, sees := range map[string]bool{"web": true, "reports-api": true, "other": false, "billing-api": false, "machine": false} {
			a := w.post("/introspect", caller, "token", token).ok()
			told := want
			if !sees {
				told = ""
			}
			if got := a.header.Get("Jeton-Reason"); got != told {
				t.Errorf("%s is told %q of a token that is %q", caller, got, want)
			}
			if active := sees && token == live; !active && strings.TrimSpace(a.body) != `{"active":false}` {
				t.Errorf("%s gets %s", caller, a.body)
			}
		}
	}
}

// Userinfo is an API like any other.
func TestReasons_OfUserinfo(t *testing.T) {
	w := newWorld(t, options{})
	revoked := w.signedIn("web", scope("openid")).text("access_token")
	w.post("/revoke", "web", "token", revoked).ok()
	expired := w.signedIn("web", scope("openid")).text("access_token")
	w.clock.advance(6 * time.Minute)
	for token, want := range map[string]string{
		revoked: "expired", expired: "expired", "x": "malformed", w.signedIn("web", scope("read")).text("access_token"): "insufficient_scope",
	} {
		a := w.userinfo(token)
		reason, known := oauth.ReasonAt(oauth.AtAPI, want)
		if !known || a.status != reason.Status || a.text("reason") != want || a.header.Get("Jeton-Reason") != want || a.text("error") != string(reason.Error) {
			t.Errorf("got %d %s (%s), want %s", a.status, a.body, a.header.Get("Jeton-Reason"), want)
		}
	}
}

// A program finds the reason in its error.
func TestReasons_InTheClientLibrary(t *testing.T) {
	w := newWorld(t, options{})
	a := w.signedIn("web")
	store := client.NewMemoryStore(client.SignIn{RefreshToken: client.NewSecret(a.text("refresh_token"))})
	source, err := client.Refresh(client.Config{Issuer: w.issuer, ID: "web", Secret: client.NewSecret(w.keys["web"]), Store: store})
	must(t, err)
	_, err = w.parts.Accounts.Disable(t.Context(), admin(), w.person.ID, "left")
	must(t, err)
	_, err = source.Token(t.Context())
	if !errors.Is(err, client.ErrSignInAgain) || oauth.ReasonOf(err) != oauth.ReasonAccountDisabled || !strings.Contains(err.Error(), oauth.ReasonAccountDisabled) {
		t.Errorf("%v, reason %q", err, oauth.ReasonOf(err))
	}
}
