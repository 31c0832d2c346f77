package server_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/notme"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/internal/smtptest"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

const smtpPassword = "password of the mail server"

// mailing is a world with a mail server that wants STARTTLS and a password.
func mailing(t *testing.T, edit ...func(*config.Config)) (*world, *smtptest.Server) {
	t.Helper()
	s := smtptest.Start(t, smtptest.Options{User: "jeton", Password: smtpPassword})
	w := newWorld(t, options{runs: true, edit: func(c *config.Config) {
		mails(c, s)
		for _, f := range edit {
			f(c)
		}
	}})
	w.remember("mail password", smtpPassword)
	return w, s
}

func mails(c *config.Config, s *smtptest.Server) {
	c.Notify.SMTP = config.SMTP{
		Host: s.Host, Port: s.Port, TLS: "starttls", User: "jeton", Password: secret.New(smtpPassword),
		From: "Jeton <jeton@id.example.com>", CAFile: s.CAFile,
	}
	c.Notify.Admins = []string{"ops@example.org"}
}

var notMeLink = regexp.MustCompile(`\n(http\S+/not-me\?link=\S+)\n`)

// link is the address in a mail, "" if it has none.
func link(m smtptest.Mail) string {
	if found := notMeLink.FindStringSubmatch(m.Text); found != nil {
		return found[1]
	}
	return ""
}

// replay uses a refresh token of the client again that was superseded twice.
func (w *world) replay(client string, a answer) {
	w.t.Helper()
	old := a.text("refresh_token")
	next := w.refresh(client, old).ok().text("refresh_token")
	w.refresh(client, next).ok()
	if a := w.refresh(client, old); a.status != http.StatusBadRequest {
		w.t.Fatalf("the replay got %d", a.status)
	}
}

// The whole way: somebody replays a refresh token, the owner gets a mail, opens
// its link, says that it was not them, and the session is dead at every guard.
func TestMail_ReplayToTheEndOfTheSession(t *testing.T) {
	w, s := mailing(t)
	g := guard(t, w.guardConfig())
	eventually(t, "the guard is ready", 30*time.Second, g.Ready)
	session := w.session(w.person)
	stolen := w.signedIn("web", in(session))
	rest := w.signedIn("other", in(session)).text("access_token") // of the same session
	w.replay("web", stolen)

	m := s.Wait(1)[0]
	if m.Envelope != "ada@example.com" || !strings.Contains(m.Subject(), "may have copied a key") || !strings.Contains(m.Text, "App: Web") ||
		!strings.Contains(m.Text, "Hello Ada Lovelace,") || m.Header.Get("X-User") != "jeton" || m.Header.Get("X-Tls") != "yes" {
		t.Errorf("to %s: %s\n%s", m.Envelope, m.Subject(), m.Text)
	}
	address := link(m)
	if !strings.HasPrefix(address, w.issuer+"/not-me?link=") || !strings.Contains(m.HTML, address) {
		t.Fatalf("link %q", address)
	}
	w.remember("link of a mail", strings.TrimPrefix(address, w.issuer+"/not-me?link="))
	if got := refusal(t, g, rest); got != "" {
		t.Fatalf("before: %s", got)
	}
	owner := w.visitor()
	for range 2 {
		owner.open(http.MethodGet, address, "")
	}
	if !strings.Contains(owner.page.body, "Was this not you?") || !w.sessionAlive(session.ID) {
		t.Fatalf("opening the link: %d %s", owner.page.status, owner.page.body)
	}
	if p := owner.submit(); p.status != http.StatusOK || !strings.Contains(p.body, "It is signed out") {
		t.Fatalf("answering: %d %s", p.status, p.body)
	}
	eventually(t, "the guard refuses the session's token", 10*time.Second, func() bool { return refusal(t, g, rest) != "" })
	if got := refusal(t, g, rest); got != "session_ended" && got != "revoked" {
		t.Errorf("refused as %s", got)
	}
	w.wantEvents(authority.EventNotMe, 1)
	owner.open(http.MethodGet, address, "") // and again, from the mail
	if !strings.Contains(owner.page.body, "It is signed out") {
		t.Errorf("again: %s", owner.page.body)
	}
	w.wantEvents(authority.EventNotMe, 1)
}

// Each mail there is follows from what truly happens, and says what its reader
// has to know.
func TestMail_OfWhatTrulyHappens(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{User: "jeton", Password: smtpPassword})
	w, move := travelling(t, options{edit: func(c *config.Config) {
		mails(c, s)
		c.Notify.Mail.PerHour, c.Notify.Mail.PerDay = 100, 100
		c.SignIn.AccountFailures, c.SignIn.Window = 2, time.Minute
		c.SignIn.Delay, c.SignIn.MaxDelay = time.Second, time.Second
	}})
	w.minter("support", authority.MintPolicy{Subjects: authority.MintSession, Scope: []string{"read"}})
	w.minter("careful", authority.MintPolicy{Subjects: authority.MintPattern, Patterns: []string{"*"}, Approval: true})
	arrived := 0
	// want reads the next mails, each told by a part of its subject.
	want := func(to string, linked bool, subject string, parts ...string) smtptest.Mail {
		t.Helper()
		arrived++
		m := s.Wait(arrived)[arrived-1]
		if m.Envelope != to || !strings.Contains(m.Subject(), subject) || (link(m) != "") != linked {
			t.Errorf("to %s, link %q: %s; want %q to %s", m.Envelope, link(m), m.Subject(), subject, to)
		}
		for _, part := range parts {
			if !strings.Contains(m.Text, part) {
				t.Errorf("%s lacks %q:\n%s", m.Subject(), part, m.Text)
			}
		}
		return m
	}
	const ada, ops = "ada@example.com", "ops@example.org"

	w.visitor().signIn() // the first is from nowhere new
	move(theft)
	w.visitor().signIn()
	want(ada, true, "new device", "Device: Chrome on Windows", "Network: 203.0.113.0/24")

	code := w.code("web")
	w.redeem("web", code).ok()
	w.redeem("web", code).refused(http.StatusBadRequest, oauth.InvalidGrant)
	want(ada, true, "was stopped", "App: Web")

	move(atHome)
	a := w.signedIn("web", scope("read"))
	for range 3 {
		old := a.text("refresh_token")
		move(atHome)
		a = w.refresh("web", old).ok()
		move(theft)
		w.refresh("web", old).ok()
	}
	want(ada, true, "from somewhere else", "Network: 203.0.113.0/24", "Network before: 192.0.2.0/24")
	want(ada, true, "Two devices use one key", "Device: Chrome on Windows", "Device before: Firefox on Linux")

	session := w.session(w.person)
	_, minted := w.mintAs("support", "", `[{"login":"ada","scope":"read","reason":"ticket 4711"}]`)
	token := minted.Results[0].AccessToken
	m := want(ada, true, "was given access", "By: support", "Reason given: ticket 4711")
	owner := w.visitor()
	owner.open(http.MethodGet, link(m), "")
	owner.submit()
	w.wantDead("the agent's token", token)
	if !w.sessionAlive(session.ID) {
		t.Error("ending an agent's access ended the person's own session")
	}

	move(theft)
	for range 7 {
		v := w.visitor()
		v.open(http.MethodGet, "/signin", "")
		v.submit("login", "ada", "password", "not the password of anybody")
		w.clock.advance(100 * time.Millisecond)
	}
	want(ada, false, "guessing your password", "Network: 203.0.113.0/24")

	w.setPassword()
	want(ada, false, "password at", "By: an administrator")
	w.to("ada@example.net")
	told := map[string]string{}
	for _, m := range s.Wait(arrived + 2)[arrived:] { // of two domains, in any order
		told[m.Envelope] = m.Text
	}
	arrived += 2
	if !strings.Contains(told[ada], "no longer belongs") || !strings.Contains(told["ada@example.net"], "go to this address from now on") {
		t.Errorf("told of the change: %q", told)
	}

	w.mintAs("careful", "", `[{"login":"ada","scope":"read","reason":"ticket 1"}]`, "Jeton-Requested-By", "eve")
	want(ops, false, "wait for approval", "By: eve", "App: careful", "Reason given: ticket 1", "Id: ")
	forged, err := jwt.Sign(w.stolenKey(), "at+jwt", w.perfect(w.grantOf(w.machine())))
	must(t, err)
	w.wantDead("forged", forged)
	want(ops, false, "forged token", "Id: ")
	_, kid, _ := strings.Cut(s.Wait(arrived)[arrived-1].Text, "\nId: ")
	kid, _, _ = strings.Cut(kid, "\n")
	_, err = w.operator().CompromiseKey(t.Context(), kid, "it was in a backup")
	must(t, err)
	want(ops, false, "declared compromised", "Reason given: it was in a backup", "Id: "+kid)
}

// A link works as long as its mail says, over rotations of the key that signs
// it, and no longer; one that was signed with a stolen key does not work.
func TestMail_LinksOutliveARotation(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{User: "jeton", Password: smtpPassword})
	w := newWorld(t, options{edit: func(c *config.Config) { mails(c, s) }})
	w.replay("web", w.signedIn("web"))
	address := link(s.Wait(1)[0])
	status := func() int { return w.get(strings.TrimPrefix(address, w.issuer)).status }
	made := w.clock.Now()
	_, err := w.operator().RotateKey(t.Context(), authority.RingFlow, adminclient.NewKey{}, "")
	must(t, err)
	for _, after := range []time.Duration{w.config.Keys.Staging, 24 * time.Hour, notme.Lifetime - time.Minute} {
		w.clock.advance(made.Add(after).Sub(w.clock.Now()))
		must(t, w.parts.Keys.Step(t.Context()))
		if got := status(); got != http.StatusOK {
			t.Errorf("after %v: %d", after, got)
		}
	}
	w.clock.advance(time.Minute)
	if got := status(); got != http.StatusNotFound {
		t.Errorf("after its time: %d", got)
	}

	w.replay("web", w.signedIn("web"))
	address = link(s.Wait(2)[1])
	if got := status(); got != http.StatusOK {
		t.Errorf("a new one: %d", got)
	}
	kid, _, _ := strings.Cut(strings.TrimPrefix(address, w.issuer+"/not-me?link="), ".")
	_, err = w.operator().CompromiseKey(t.Context(), kid, "test")
	must(t, err)
	eventually(t, "the link does not work any more", 10*time.Second, func() bool { return status() == http.StatusNotFound })
}

// mailDeliveries are the mails in the log of deliveries, newest first.
func (w *world) mailDeliveries() []authority.Delivery {
	w.t.Helper()
	ds, err := w.parts.Store.Deliveries(w.t.Context(), authority.DeliveryFilter{Channel: "mail"}, authority.Page{})
	must(w.t, err)
	return ds
}

// to gives ada another address, verified.
func (w *world) to(address string) {
	w.t.Helper()
	p := accounts.ProfileOf(w.person)
	p.Email, p.EmailVerified = address, true
	_, err := w.parts.Accounts.UpdateProfile(w.t.Context(), admin(), w.person.ID, p, "test")
	must(w.t, err)
}

func (w *world) setPassword() {
	w.t.Helper()
	_, err := w.parts.Accounts.SetPassword(w.t.Context(), admin(), w.person.ID, secret.New("another battery staple"), "test")
	must(w.t, err)
}

// What cannot be sent now is sent when the mail server is back, also by another
// run of this server.
func TestMail_ServerDownThenUp(t *testing.T) {
	w, s := mailing(t)
	s.Stop()
	w.setPassword()
	eventually(t, "a first attempt failed", 30*time.Second, func() bool {
		ds := w.mailDeliveries()
		return len(ds) == 1 && ds[0].LastError != ""
	})
	if d := w.mailDeliveries()[0]; d.State != authority.DeliveryPending || !strings.Contains(d.LastError, "connection refused") {
		t.Errorf("%s: %s", d.State, d.LastError)
	}
	w.stop()
	w.start()
	s.Restart()
	w.clock.advance(time.Hour) // past the pause
	m := s.Wait(1)[0]
	if !strings.Contains(m.Subject(), "password") || !strings.Contains(m.Text, "By: an administrator") || link(m) != "" {
		t.Errorf("%s\n%s", m.Subject(), m.Text)
	}
	eventually(t, "it is in the log", 10*time.Second, func() bool { return w.mailDeliveries()[0].State == authority.DeliveryDelivered })
}

func TestMail_DeferredAndRefused(t *testing.T) {
	w, s := mailing(t)
	about := func(to string) (found authority.Delivery) {
		for _, d := range w.mailDeliveries() {
			if strings.Contains(string(d.Body), to) {
				found = d
			}
		}
		return found
	}
	w.to("defer-1@example.net") // which is told, and so is the address before it
	eventually(t, "the mail was deferred", 30*time.Second, func() bool {
		return strings.Contains(about("defer-1@").LastError, "451 4.7.1 greylisted")
	})
	w.clock.advance(time.Minute)
	eventually(t, "the mail arrived", 30*time.Second, func() bool { return about("defer-1@").State == authority.DeliveryDelivered })
	if m := s.Wait(2)[1]; m.Envelope != "defer-1@example.net" {
		t.Errorf("the second mail went to %s", m.Envelope)
	}

	w.to("refuse@example.net")
	eventually(t, "the mail was given up", 30*time.Second, func() bool { return about("refuse@").State == authority.DeliveryFailed })
	d := about("refuse@")
	if d.Attempts != 1 || !strings.Contains(d.LastError, "550 5.1.1") || strings.Contains(d.LastError, "refuse@") {
		t.Errorf("after %d attempts: %s", d.Attempts, d.LastError)
	}
}

// A change of address is told to the one who loses it, and the new reader only
// once it is verified that the address is theirs.
func TestMail_FormerAddress(t *testing.T) {
	w, s := mailing(t)
	planned := w.receiver() // an event is planned for all channels at once
	w.webhook("planned", planned.URL, "password_set")
	p := accounts.ProfileOf(w.person)
	p.Email, p.EmailVerified = "thief@example.net", false
	_, err := w.parts.Accounts.UpdateProfile(t.Context(), admin(), w.person.ID, p, "test")
	must(t, err)
	m := s.Wait(1)[0]
	if m.Envelope != "ada@example.com" || !strings.Contains(m.Text, "no longer belongs to the account") {
		t.Errorf("to %s\n%s", m.Envelope, m.Text)
	}
	w.setPassword() // nobody to tell: the address is not verified
	planned.await(1)
	w.to("ada@example.org")
	m = s.Wait(2)[1]
	if m.Envelope != "ada@example.org" || !strings.Contains(m.Text, "go to this address from now on") {
		t.Errorf("to %s\n%s", m.Envelope, m.Text)
	}
}

// Ten mails, one that says that more happened, and silence.
func TestMail_LimitPerAccount(t *testing.T) {
	w, s := mailing(t, func(c *config.Config) { c.Notify.Mail.PerHour = 3 })
	session := w.session(w.person)
	for range 8 {
		w.replay("web", w.signedIn("web", in(session)))
	}
	s.Wait(4)
	w.account("bob", "Bob")
	bob, err := w.parts.Accounts.Find(t.Context(), "bob")
	must(t, err)
	_, err = w.parts.Accounts.SetPassword(t.Context(), admin(), bob.ID, secret.New("another battery staple"), "test")
	must(t, err)
	mails := s.Wait(5) // planned after all of ada's
	var subjects []string
	more := 0
	for _, m := range mails {
		subjects = append(subjects, m.Subject())
		if strings.HasPrefix(m.Subject(), "More happened to your account") {
			more++
		}
	}
	if len(mails) != 5 || more != 1 {
		t.Errorf("%d mails: %q", len(mails), subjects)
	}
}

func TestMail_Admins(t *testing.T) {
	w, s := mailing(t)
	e := w.event(authority.EventForgedToken)
	e.Data = map[string]string{"kid": "k-4711", "sightings": "2"}
	e.Context = authority.Context{Network: "203.0.113.0/24", UserAgent: "curl/8.0"}
	must(t, w.parts.Store.AppendEvent(t.Context(), e))
	m := s.Wait(1)[0]
	if m.Envelope != "ops@example.org" || !strings.Contains(m.Text, "Id: k-4711") || !strings.Contains(m.Text, "Device: curl") || link(m) != "" {
		t.Errorf("to %s\n%s", m.Envelope, m.Text)
	}
}

func TestMail_Switched(t *testing.T) {
	w, s := mailing(t, func(c *config.Config) { c.Notify.Mail.Without = []string{"password_set"} })
	w.setPassword()
	w.to("ada@example.org") // comes after it, so it arrives after it
	for _, m := range s.Wait(2) {
		if !strings.Contains(m.Subject(), "address") {
			t.Errorf("got %s", m.Subject())
		}
	}
}

func TestMail_TestFromTheAdminAPI(t *testing.T) {
	w, s := mailing(t)
	tested, err := w.operator().TestMail(t.Context(), "ops@example.org")
	if err != nil || !strings.HasPrefix(tested.Answer, "OK") {
		t.Errorf("%+v, %v", tested, err)
	}
	if m := s.Wait(1)[0]; m.Envelope != "ops@example.org" || !strings.Contains(m.Subject(), "Test mail") {
		t.Errorf("to %s: %s", m.Envelope, m.Subject())
	}
	for to, want := range map[string]string{"refuse@example.org": "550 5.1.1", "spam@example.org": "554 5.7.1"} {
		_, err := w.operator().TestMail(t.Context(), to)
		if adminclient.CodeOf(err) != adminclient.CodeMail || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v", to, err)
		}
	}
	if _, err := w.operator().TestMail(t.Context(), "a@example.org\r\nBcc: b@example.org"); adminclient.CodeOf(err) != adminclient.CodeInvalid {
		t.Errorf("no address: %v", err)
	}
	s.Stop()
	if _, err := w.operator().TestMail(t.Context(), "ops@example.org"); adminclient.CodeOf(err) != adminclient.CodeMail || !strings.Contains(fmt.Sprint(err), "refused") {
		t.Errorf("no server: %v", err)
	}
	without := newWorld(t, options{})
	if _, err := without.operator().TestMail(t.Context(), "ops@example.org"); adminclient.CodeOf(err) != adminclient.CodeInvalid || !strings.Contains(fmt.Sprint(err), "notify.smtp.host") {
		t.Errorf("not configured: %v", err)
	}
}

// A template that cannot be used is found at start, not when somebody's account
// is in danger.
func TestMail_BrokenTemplatesStopTheStart(t *testing.T) {
	w := newWorld(t, options{})
	w.stop()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "new_device.html"), []byte(`{{define "body"}}{{.Nowhere}}{{end}}`), 0o600))
	c := w.config
	c.Notify.SMTP = config.SMTP{Host: "smtp.example.com", From: "jeton@example.com", TLS: "starttls"}
	c.Notify.Mail.Templates = dir
	s, err := server.Open(t.Context(), c, server.Options{})
	if err == nil {
		_ = s.Close()
	}
	if text := fmt.Sprint(err); !strings.Contains(text, "notify.mail.templates") || !strings.Contains(text, "new_device.html") || !strings.Contains(text, "Nowhere") {
		t.Errorf("got %v", err)
	}
	c.Notify.Mail.Templates, c.Notify.SMTP.CAFile = "", filepath.Join(dir, "new_device.html")
	if s, err = server.Open(t.Context(), c, server.Options{}); err == nil {
		_ = s.Close()
	}
	if !strings.Contains(fmt.Sprint(err), "notify.smtp.ca_file") {
		t.Errorf("got %v", err)
	}
}
