package mail_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/mail"
	"github.com/jetonhq/jeton/internal/notify"
	"github.com/jetonhq/jeton/internal/notme"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/smtptest"
	"github.com/jetonhq/jeton/internal/store/sqlite"
)

// world is a channel over a real store.
type world struct {
	*testing.T
	store  *sqlite.Store
	now    time.Time
	config mail.Config
}

type links struct{}

func (links) Seal(t notme.Target, _ time.Time) string {
	return "s" + t.Session.String() + ".g" + t.Grant.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	templates, err := mail.LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	unused, err := mail.NewTransport(mail.Server{Host: "127.0.0.1", TLS: mail.NoTLS, From: "jeton@id.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, store: store, now: time.Now()}
	w.config = mail.Config{
		Issuer: "https://id.example.com/t1", Store: store, Links: links{}, Transport: unused, Templates: templates,
		Limits: mail.Limits{PerHour: 3, PerDay: 5}, Admins: []string{"ops@example.com", "root@example.org"}, Now: func() time.Time { return w.now },
	}
	return w
}

func (w *world) channel() *mail.Channel {
	w.Helper()
	c, err := mail.New(w.config)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) account(a authority.Account) authority.Account {
	w.Helper()
	a.ID, a.Version, a.CreatedAt, a.UpdatedAt = secret.NewID(w.now), 1, w.now, w.now
	if a.Login == "" {
		a.Login = "ada"
	}
	e := authority.Event{ID: secret.NewID(w.now), Type: authority.EventAccountCreated, Actor: authority.System}
	if err := w.store.CreateAccount(w.Context(), a, e); err != nil {
		w.Fatal(err)
	}
	return a
}

func (w *world) event(kind authority.EventType, a authority.Account) authority.Event {
	return authority.Event{ID: secret.NewID(w.now), Type: kind, Actor: authority.System, AccountID: a.ID}
}

func (w *world) plan(c *mail.Channel, e authority.Event) []notify.Message {
	w.Helper()
	messages, err := c.Plan(w.Context(), e)
	if err != nil {
		w.Fatal(err)
	}
	return messages
}

// keep stores messages as deliveries, as the planner does.
func (w *world) keep(e authority.Event, messages []notify.Message) []authority.Delivery {
	w.Helper()
	var ds []authority.Delivery
	for _, m := range messages {
		ds = append(ds, authority.Delivery{
			ID: secret.NewID(w.now), Channel: "mail", Target: m.Target, Lane: "mail:" + m.Lane, EventID: e.ID, EventType: e.Type, Body: m.Body,
			State: authority.DeliveryPending, NextAt: w.now, GiveUpAt: w.now.Add(time.Hour), CreatedAt: w.now,
		})
	}
	cursor, err := w.store.OutboxCursor(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if err := w.store.Enqueue(w.Context(), cursor, cursor+1, ds); err != nil {
		w.Fatal(err)
	}
	return ds
}

func TestPlan_WhoIsTold(t *testing.T) {
	verified := authority.Account{Name: "Ada", Email: "ada@Example.com", EmailVerified: true}
	both := map[string]string{"changed": "email email_verified", "former_email": "old@example.net"}
	for name, test := range map[string]struct {
		account    authority.Account
		event      authority.EventType
		data       map[string]string
		unverified bool
		without    []string
		noAccount  bool
		want       string // lanes: domains of who is told
	}{
		"verified":                  {account: verified, event: authority.EventNewDevice, want: "example.com"},
		"unverified":                {account: authority.Account{Email: "ada@example.com"}, event: authority.EventNewDevice},
		"unverified, as configured": {account: authority.Account{Email: "ada@example.com"}, event: authority.EventNewDevice, unverified: true, want: "example.com"},
		"no address":                {event: authority.EventNewDevice},
		"switched off":              {account: verified, event: authority.EventNewDevice, without: []string{"new_device"}},
		"another is switched off":   {account: verified, event: authority.EventPasswordSet, without: []string{"new_device"}, want: "example.com"},
		"a machine's":               {event: authority.EventRefreshReused, noAccount: true},
		"guessing at nobody":        {event: authority.EventBruteForce, noAccount: true},
		"a sign-in":                 {account: verified, event: authority.EventSignedIn},
		"a name":                    {account: verified, event: authority.EventAccountUpdated, data: map[string]string{"changed": "name"}},
		"address to verified":       {account: verified, event: authority.EventAccountUpdated, data: both, want: "example.com example.net"},
		"address to unverified":     {account: authority.Account{Email: "new@example.com"}, event: authority.EventAccountUpdated, data: both, want: "example.net"},
		"a grant of the person":     {account: verified, event: authority.EventGrantCreated},
		"a grant of an agent":       {account: verified, event: authority.EventGrantCreated, data: map[string]string{"act": "helpdesk"}, want: "example.com"},
		"a batch":                   {account: verified, event: authority.EventMinted},
		"admins":                    {event: authority.EventForgedToken, noAccount: true, want: "example.com example.org"},
		"admins, about an account":  {account: verified, event: authority.EventRefreshFromFuture, want: "example.com example.org"},
		"admins, switched off":      {event: authority.EventMintRequested, noAccount: true, without: []string{"mint_requested"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.config.Unverified, w.config.Without = test.unverified, test.without
			var a authority.Account
			if !test.noAccount {
				a = w.account(test.account)
			}
			e := w.event(test.event, a)
			e.Data = test.data
			var lanes []string
			for _, m := range w.plan(w.channel(), e) {
				lanes = append(lanes, m.Lane)
				if m.Secret || strings.Contains(string(m.Body), "not-me") {
					t.Error("the link rests in the store")
				}
			}
			if got := strings.Join(lanes, " "); got != test.want {
				t.Errorf("told %q, want %q", got, test.want)
			}
		})
	}
	w := newWorld(t)
	if got := w.plan(w.channel(), w.event(authority.EventNewDevice, authority.Account{ID: secret.NewID(w.now)})); got != nil {
		t.Errorf("an account that is gone: %v", got)
	}
	_ = w.store.Close()
	if _, err := w.channel().Plan(t.Context(), w.event(authority.EventNewDevice, authority.Account{ID: secret.NewID(w.now)})); err == nil {
		t.Error("a store that does not answer is no error")
	}
}

// The limit counts what is stored, so a restart does not lift it and nodes share
// it, and what is planned but not stored yet.
func TestPlan_LimitsAreSharedAndLast(t *testing.T) {
	w := newWorld(t)
	a := w.account(authority.Account{Email: "ada@example.com", EmailVerified: true})
	nodes := []*mail.Channel{w.channel(), w.channel()}
	kind := func(m notify.Message) string {
		if strings.Contains(string(m.Body), `"more_happened"`) {
			return "more"
		}
		return "mail"
	}
	var got []string
	plan := func(c *mail.Channel, store bool) authority.Event {
		e := w.event(authority.EventContextChanged, a)
		messages := w.plan(c, e)
		for _, m := range messages {
			got = append(got, kind(m))
		}
		if store {
			w.keep(e, messages)
		}
		w.now = w.now.Add(time.Second)
		return e
	}
	for i := range 4 {
		plan(nodes[i%2], true)
	}
	plan(w.channel(), true) // restarted
	if s := strings.Join(got, " "); s != "mail mail mail more" {
		t.Fatalf("got %s", s)
	}

	// In one batch of the planner nothing is stored before the end.
	w.now, got = w.now.Add(25*time.Hour), nil
	var last authority.Event
	for range 6 {
		last = plan(nodes[0], false)
	}
	if s := strings.Join(got, " "); s != "mail mail mail more" {
		t.Fatalf("in one batch: %s", s)
	}
	// And what could not be stored is planned again, with the same result.
	if again := w.plan(nodes[0], last); len(again) != 0 {
		t.Errorf("silent before, now %d mails", len(again))
	}
	// Another account is not concerned.
	bob := w.account(authority.Account{Login: "bob", Email: "bob@example.com", EmailVerified: true})
	if n := len(w.plan(nodes[0], w.event(authority.EventContextChanged, bob))); n != 1 {
		t.Errorf("somebody else got %d mails", n)
	}
}

func TestPlan_AgainIsTheSame(t *testing.T) {
	w := newWorld(t)
	a := w.account(authority.Account{Email: "ada@example.com", EmailVerified: true})
	c := w.channel()
	for range 2 {
		w.plan(c, w.event(authority.EventContextChanged, a))
	}
	last := w.event(authority.EventContextChanged, a) // that the limit allows
	for range 10 {
		if messages := w.plan(c, last); len(messages) != 1 || strings.Contains(string(messages[0].Body), "more_happened") {
			t.Fatalf("%d mails: %v", len(messages), messages)
		}
	}
}

// Whatever people, agents and thieves call themselves, it arrives as words.
func TestSend_HostileNames(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	w := newWorld(t)
	w.config.Transport = transport(t, s, nil)
	evil := "</p><script>alert(1)</script>\r\nBcc: eve@example.com\r\n\r\nhttps://evil.example \u202e"
	a := w.account(authority.Account{Name: evil, Email: "ada@example.com", EmailVerified: true})
	e := w.event(authority.EventGrantCreated, a)
	e.GrantID, e.SessionID, e.ClientID, e.Reason = secret.NewID(w.now), secret.NewID(w.now), "agent<b>", evil
	e.Data = map[string]string{"act": "agent<b>", "requested_by": evil, "tokens": "<3>"}
	e.Context = authority.Context{Network: "<i>", UserAgent: evil}
	c := w.channel()
	for _, d := range w.keep(e, w.plan(c, e)) {
		if err := c.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	m := s.Wait(1)[0]
	if len(m.Header["Bcc"]) != 0 || strings.Contains(m.Raw, "\nBcc:") {
		t.Error("a header was injected")
	}
	for _, bad := range []string{"<script", "</p><", "https://evil", "<b>", "<i>", "\u202e", "evil.example"} {
		if strings.Contains(m.HTML, bad) {
			t.Errorf("the HTML holds %q", bad)
		}
	}
	if strings.Contains(m.Text, "https://evil") || !strings.Contains(m.Text, "A program that does not say what it is") {
		t.Errorf("the text is\n%s", m.Text)
	}
	// An agent's tokens are ended alone: the person's own session stays.
	want := "https://id.example.com/t1/not-me?link=s" + (secret.ID{}).String() + ".g" + e.GrantID.String()
	if !strings.Contains(m.Text, want+"\n") || !strings.Contains(m.HTML, `href="`+want+`"`) {
		t.Errorf("no link %s in\n%s", want, m.Text)
	}
}

func TestSend_PermanentAndNot(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	w := newWorld(t)
	w.config.Transport, w.config.Unverified = transport(t, s, nil), true
	c := w.channel()
	send := func(login string) (authority.Delivery, error) {
		a := w.account(authority.Account{Login: login, Email: login + "@example.com"})
		e := w.event(authority.EventPasswordSet, a)
		d := w.keep(e, w.plan(c, e))[0]
		return d, c.Send(t.Context(), d)
	}
	if _, err := send("refuse"); err == nil || !strings.Contains(err.Error(), "550 5.1.1") {
		t.Errorf("refused: %v", err)
	}
	d, err := send("defer-1")
	if err == nil || !strings.Contains(err.Error(), "451") {
		t.Errorf("deferred: %v", err)
	}
	if err := c.Send(t.Context(), d); err != nil {
		t.Errorf("second try: %v", err)
	}
	m := s.Wait(1)[0]
	if got := m.Header.Get("Message-Id"); got != "<"+d.ID.String()+"@id.example.com>" {
		t.Errorf("named %s", got)
	}
	d.Body = []byte("{")
	if err := c.Send(t.Context(), d); err == nil {
		t.Error("a body that cannot be read was sent")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Test(ctx, "ada@example.com"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if answer, err := c.Test(t.Context(), "ada@example.com"); err != nil || answer == "" {
		t.Errorf("%q, %v", answer, err)
	}
}
