package web_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/notme"
	"github.com/jetonhq/jeton/internal/secret"
)

// linkKey signs the links of these tests.
type linkKey []byte

func (k linkKey) LinkKey() (string, []byte)            { return "k1", k }
func (k linkKey) LinkKeyByID(id string) ([]byte, bool) { return k, id == "k1" }

// stranger is a session of ada's that she does not know, with a grant that
// outlives it.
func (s *site) stranger() (session authority.Session, offline authority.Grant) {
	s.t.Helper()
	ctx, now := s.t.Context(), time.Now()
	from := authority.Context{Network: "203.0.113.0/24", UserAgent: "Mozilla/5.0 (Windows NT 10.0) <b>Firefox/140.0"}
	session = authority.Session{
		ID: secret.NewID(now), AccountID: s.ada.ID, AuthTime: now, CreatedAt: now, LastSeen: now,
		IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour), First: from, Last: from,
	}
	event := authority.Event{ID: secret.NewID(now), Type: authority.EventSignedIn, Actor: authority.System, AccountID: s.ada.ID}
	if err := s.store.CreateSession(ctx, session, secret.ID{}, event); err != nil {
		s.t.Fatal(err)
	}
	code := authority.Code{
		ID: secret.NewID(now), ClientID: "reports", AccountID: s.ada.ID, SessionID: session.ID, CreatedAt: now, ExpiresAt: now.Add(time.Minute),
	}
	if err := s.store.CreateCode(ctx, code, nil, nil); err != nil {
		s.t.Fatal(err)
	}
	offline = authority.Grant{
		ID: secret.NewID(now), Type: "authorization_code", ClientID: "reports", AccountID: s.ada.ID, HasRefresh: true,
		First: from, Last: from, CreatedAt: now, LastUsed: now, IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
	}
	token := authority.Token{ID: secret.NewID(now), GrantID: offline.ID, ExpiresAt: now.Add(time.Minute)}
	event.ID = secret.NewID(now)
	if err := s.store.Redeem(ctx, authority.Redemption{Code: code.ID, Grant: offline, Token: token, Now: now, Event: event}); err != nil {
		s.t.Fatal(err)
	}
	return session, offline
}

func (s *site) link(t notme.Target) string {
	return s.url + "/not-me?link=" + s.notMe.Seal(t, time.Now().Add(notme.Lifetime))
}

func (s *site) target(session authority.Session) notme.Target {
	return notme.Target{Account: s.ada.ID, Session: session.ID, Event: secret.NewID(time.Now())}
}

func (s *site) live(session, grant secret.ID) (sessionLive, grantLive bool) {
	s.t.Helper()
	ctx := context.WithoutCancel(s.t.Context())
	a, err := s.store.Session(ctx, session)
	if err != nil {
		s.t.Fatal(err)
	}
	g, err := s.store.Grant(ctx, grant)
	if err != nil {
		s.t.Fatal(err)
	}
	return a.Live(time.Now()), g.Live(time.Now())
}

func (s *site) reports() []authority.Event {
	s.t.Helper()
	events, err := s.store.Events(s.t.Context(), authority.EventFilter{Type: authority.EventNotMe}, authority.Page{})
	if err != nil {
		s.t.Fatal(err)
	}
	return events
}

func TestNotMe_LookingChangesNothingAndThePostEndsIt(t *testing.T) {
	s := newSite(t, options{path: "/t1"})
	v := s.visitor()
	session, offline := s.stranger()
	link := s.link(s.target(session))
	for range 3 { // a scanner, a preview, and the owner
		v.get(link).wantPage(t, http.StatusOK, "This was not me")
	}
	for _, want := range []string{"Firefox on Windows", "203.0.113.0/24", "Since"} {
		if !strings.Contains(v.page.body, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	for _, private := range []string{"ada", "Ada", "<b>", "192.0.2.7"} {
		if strings.Contains(v.page.body, private) {
			t.Errorf("the page shows %q", private)
		}
	}
	if a, b := s.live(session.ID, offline.ID); !a || !b || len(s.reports()) != 0 {
		t.Fatalf("after looking: session live %v, grant live %v, %d reports", a, b, len(s.reports()))
	}

	v.submit().wantPage(t, http.StatusOK, "Change the password")
	if a, b := s.live(session.ID, offline.ID); a || b {
		t.Errorf("after the answer: session live %v, grant that outlives it live %v", a, b)
	}
	reports := s.reports()
	if len(reports) != 1 || reports[0].AccountID != s.ada.ID || reports[0].SessionID != session.ID || reports[0].Context.Network != "192.0.2.0/24" {
		t.Errorf("reports: %+v", reports)
	}
	// Once more, by the back button or a second reader.
	v.page.body = ""
	v.follow(v.do(v.post(link))).wantPage(t, http.StatusOK, "It is signed out")
	if n := len(s.reports()); n != 1 {
		t.Errorf("%d reports after the second answer, want 1", n)
	}
}

// post is the form of the page behind a link.
func (v *visitor) post(link string) *http.Request {
	v.t.Helper()
	address, value, _ := strings.Cut(link, "?link=")
	r := v.new(http.MethodPost, address, url.Values{"link": {value}}.Encode())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func TestNotMe_EndsAGrantAlone(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	session, offline := s.stranger()
	link := s.link(notme.Target{Account: s.ada.ID, Grant: offline.ID, Event: secret.NewID(time.Now())})
	v.get(link).wantPage(t, http.StatusOK, "Reports")
	v.submit().wantPage(t, http.StatusOK, "It is signed out")
	if a, b := s.live(session.ID, offline.ID); !a || b {
		t.Errorf("session live %v, want true; grant live %v, want false", a, b)
	}
}

// What ended by itself can have left something behind, and is worth a report.
func TestNotMe_OfWhatHasEnded(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	session, offline := s.stranger()
	if err := s.accounts.EndSession(t.Context(), authority.System, session.ID, "test"); err != nil {
		t.Fatal(err)
	}
	v.get(s.link(s.target(session))).wantPage(t, http.StatusOK, "This has ended already")
	v.submit().wantPage(t, http.StatusOK, "It is signed out")
	if _, b := s.live(session.ID, offline.ID); b || len(s.reports()) != 1 {
		t.Errorf("grant live %v, %d reports", b, len(s.reports()))
	}
	gone := notme.Target{Account: s.ada.ID, Session: secret.NewID(time.Now()), Grant: secret.NewID(time.Now()), Event: secret.NewID(time.Now())}
	v.get(s.link(gone)).wantPage(t, http.StatusOK, "This has ended already")
	v.submit().wantPage(t, http.StatusOK, "It is signed out")
}

func TestNotMe_BadLinks(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	session, offline := s.stranger()
	good := s.notMe.Seal(s.target(session), time.Now().Add(time.Hour))
	kid, rest, _ := strings.Cut(good, ".")
	body, mac, _ := strings.Cut(rest, ".")
	changed := []byte(body)
	changed[20] ^= 1
	other := notme.New(notme.Config{Keys: linkKey(secret.Bytes(32))})
	for name, value := range map[string]string{
		"empty":          "",
		"cut off":        good[:len(good)-5],
		"no MAC":         kid + "." + body,
		"changed":        kid + "." + string(changed) + "." + mac,
		"another key id": "k2." + body + "." + mac,
		"another key":    other.Seal(s.target(session), time.Now().Add(time.Hour)),
		"expired":        s.notMe.Seal(s.target(session), time.Now().Add(-time.Second)),
		"markup":         `"><script>`,
	} {
		t.Run(name, func(t *testing.T) {
			link := s.url + "/not-me?link=" + url.QueryEscape(value)
			v.get(link).wantPage(t, http.StatusNotFound, "This link does not work")
			r := v.new(http.MethodPost, s.url+"/not-me", url.Values{"link": {value}}.Encode())
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			v.do(r).wantPage(t, http.StatusNotFound, "This link does not work")
		})
	}
	if a, b := s.live(session.ID, offline.ID); !a || !b {
		t.Errorf("session live %v, grant live %v", a, b)
	}
}

func TestNotMe_HT_3_OnlyFromOurOwnPage(t *testing.T) {
	s := newSite(t, options{})
	v := s.visitor()
	session, offline := s.stranger()
	link := s.link(s.target(session))
	for name, header := range map[string][2]string{
		"another site's form": {"Sec-Fetch-Site", "cross-site"},
		"another origin":      {"Origin", "https://evil.example"},
	} {
		r := v.post(link)
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set(header[0], header[1])
		if p := v.do(r); p.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		v.do(v.new(method, link, ""))
	}
	if a, b := s.live(session.ID, offline.ID); !a || !b {
		t.Errorf("session live %v, grant live %v", a, b)
	}
	v.get(link)
	if v.page.header.Get("Cache-Control") != "no-store" || v.page.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers: %v", v.page.header)
	}
	if csp := v.page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script-src") {
		t.Errorf("policy %q", csp)
	}
	if strings.Contains(s.log.String(), strings.TrimPrefix(link, s.url)) {
		t.Error("the link is in the log")
	}
}
