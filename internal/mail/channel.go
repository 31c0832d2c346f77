package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/notify"
	"github.com/jetonhq/jeton/internal/notme"
	"github.com/jetonhq/jeton/internal/secret"
)

// channelName is what mails are stored under.
const channelName = "mail"

// Store is what planning a mail reads.
type Store interface {
	Account(ctx context.Context, id secret.ID) (authority.Account, error)
	Client(ctx context.Context, id string) (authority.Client, error)
	authority.DeliveryStore
}

// Links makes the values of links "this was not me".
type Links interface {
	Seal(t notme.Target, until time.Time) string
}

// Config is what a Channel needs. Without, Admins, Unverified and
// Now may be zero.
type Config struct {
	Issuer    string
	Store     Store
	Links     Links
	Transport *Transport
	Templates *Templates
	Limits    Limits
	Without   []string // names of kinds that are not mailed
	Admins    []string // addresses of administrators
	// Unverified mails to addresses, too, that nobody has shown to be theirs.
	Unverified bool
	Now        func() time.Time // default time.Now
}

// Channel sends mails about events. It implements notify.Channel.
type Channel struct {
	cfg   Config
	place string
	sent  counter
}

// New checks c and makes a Channel.
func New(c Config) (*Channel, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" {
		return nil, errors.New("mail: the issuer is not a URL")
	}
	if c.Store == nil || c.Links == nil || c.Transport == nil || c.Templates == nil {
		return nil, errors.New("mail: Store, Links, Transport and Templates are required")
	}
	if c.Limits.PerHour < 1 || c.Limits.PerDay < 1 {
		return nil, errors.New("mail: a limit is not at least 1")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Channel{cfg: c, place: u.Host, sent: counter{store: c.Store}}, nil
}

// Close ends the connections to the mail server that wait for a next mail.
func (c *Channel) Close() { c.cfg.Transport.Close() }

// Name implements notify.Channel.
func (*Channel) Name() string { return channelName }

// body is a mail as its delivery keeps it, in JSON. It holds no secret: the link
// is made when the mail is sent.
type body struct {
	To      string    `json:"to"`
	Letter  Letter    `json:"letter"`
	Account secret.ID `json:"account"`
	Session secret.ID `json:"session"` // what the link ends, zero for neither
	Grant   secret.ID `json:"grant"`
}

func readBody(stored []byte) (body, error) {
	var b body
	err := json.Unmarshal(stored, &b)
	return b, err
}

// Plan implements notify.Channel.
func (c *Channel) Plan(ctx context.Context, e authority.Event) ([]notify.Message, error) {
	k := kindOf(e)
	if k == "" || slices.Contains(c.cfg.Without, string(k)) {
		return nil, nil
	}
	if slices.Contains(AdminKinds, k) {
		return c.planAdmins(ctx, e, k)
	}
	return c.planOwner(ctx, e, k)
}

func (c *Channel) planAdmins(ctx context.Context, e authority.Event, k Kind) ([]notify.Message, error) {
	letter, err := c.letter(ctx, e, k)
	if err != nil {
		return nil, err
	}
	var messages []notify.Message
	for _, to := range c.cfg.Admins {
		planned, err := c.plan(ctx, e, to, []body{{To: to, Letter: letter}})
		if err != nil {
			return nil, err
		}
		messages = append(messages, planned...)
	}
	return messages, nil
}

func (c *Channel) planOwner(ctx context.Context, e authority.Event, k Kind) ([]notify.Message, error) {
	account, err := c.cfg.Store.Account(ctx, e.AccountID)
	if errors.Is(err, authority.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("mail: account: %w", err)
	}
	letter, err := c.letter(ctx, e, k)
	if err != nil {
		return nil, err
	}
	letter.Name = words(account.Name)
	b := body{Letter: letter, Account: account.ID, Grant: e.GrantID}
	if k.linksSession() {
		b.Session = e.SessionID
	}
	var bodies []body
	if account.Email != "" && (account.EmailVerified || c.cfg.Unverified) {
		b.To = account.Email
		bodies = append(bodies, b)
	}
	if former := e.Data["former_email"]; k == EmailChanged && former != "" && former != account.Email {
		b.To, b.Letter.Former = former, true
		bodies = append(bodies, b)
	}
	if len(bodies) == 0 {
		return nil, nil
	}
	return c.plan(ctx, e, account.Subject(), bodies)
}

// plan holds mails to one reader against their limits.
func (c *Channel) plan(ctx context.Context, e authority.Event, target string, bodies []body) ([]notify.Message, error) {
	now := c.cfg.Now()
	before, err := c.sent.before(ctx, target, e.ID, c.cfg.Limits.window(), now)
	if err != nil {
		return nil, fmt.Errorf("mail: earlier mails: %w", err)
	}
	kind := bodies[0].Letter.Kind
	switch c.cfg.Limits.judge(kind, before, now) {
	case silence:
		return nil, nil
	case sumUp:
		last := bodies[0]
		kind = more
		if last.Account.IsZero() {
			kind = moreAdmins
		}
		last.Letter = Letter{Kind: kind, Place: c.place, Issuer: c.cfg.Issuer, Name: last.Letter.Name, At: e.At()}
		last.Session, last.Grant = secret.ID{}, secret.ID{}
		bodies = []body{last}
	case write:
	}
	var messages []notify.Message
	for _, b := range bodies {
		stored, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("mail: store a letter: %w", err)
		}
		messages = append(messages, notify.Message{Target: target, Lane: lane(b.To), Body: stored})
	}
	c.sent.planned(target, past{e.ID, now, kind}, len(messages))
	return messages, nil
}

// lane keeps domains apart: one that takes no mail now must not hold up others.
func lane(to string) string { return strings.ToLower(to[strings.LastIndexByte(to, '@')+1:]) }

// Send implements notify.Channel.
func (c *Channel) Send(ctx context.Context, d authority.Delivery) error {
	b, err := readBody(d.Body)
	if err != nil {
		return notify.Permanent(errors.New("the stored mail cannot be read"))
	}
	letter := b.Letter
	if !b.Session.IsZero() || !b.Grant.IsZero() {
		until := letter.At.Add(notme.Lifetime)
		target := notme.Target{Account: b.Account, Session: b.Session, Grant: b.Grant, Event: d.EventID}
		if value := c.cfg.Links.Seal(target, until); value != "" && c.cfg.Now().Before(until) {
			letter.Link, letter.LinkUntil = c.cfg.Issuer+"/not-me?link="+value, until
		}
	}
	written, err := c.cfg.Templates.Write(letter)
	if err != nil {
		return err
	}
	_, err = c.cfg.Transport.Send(ctx, Message{
		ID: d.ID.String(), To: b.To, Subject: written.Subject, Text: written.Text, HTML: written.HTML, Date: d.CreatedAt,
	})
	if f, ok := errors.AsType[*Failure](err); ok && f.Permanent {
		return notify.Permanent(f)
	}
	return err
}

// Test sends a test mail now and returns the server's answer. The error says
// why it was not taken: a *Failure, or ctx's.
func (c *Channel) Test(ctx context.Context, to string) (answer string, err error) {
	now := c.cfg.Now()
	written, err := c.cfg.Templates.Write(Letter{Kind: test, Place: c.place, Issuer: c.cfg.Issuer, At: now})
	if err != nil {
		return "", err
	}
	return c.cfg.Transport.Send(ctx, Message{
		ID: secret.NewID(now).String(), To: to, Subject: written.Subject, Text: written.Text, HTML: written.HTML, Date: now,
	})
}

// letter says what happened, in words that are harmless.
func (c *Channel) letter(ctx context.Context, e authority.Event, k Kind) (Letter, error) {
	app, err := c.app(ctx, e.ClientID)
	if err != nil {
		return Letter{}, err
	}
	l := Letter{Kind: k, Place: c.place, Issuer: c.cfg.Issuer, At: e.At(), App: app}
	l.where(e.Context)
	other := authority.Context{Network: e.Data["last_network"], UserAgent: e.Data["last_user_agent"]}
	l.OtherDevice, l.OtherNetwork = other.Device(), network(other.Network)
	switch k {
	case TokensMinted:
		l.App, l.By, l.Reason, l.Count = "", app, words(e.Reason), words(e.Data["tokens"])
		if asked := words(e.Data["requested_by"]); asked != "" {
			l.By = asked + ", with " + app
		}
	case MintRequested:
		l.By, l.Reason, l.ID = words(e.Data["requested_by"]), words(e.Reason), words(e.Data["request"])
	case PasswordSet, EmailChanged:
		if e.Actor.Kind == "admin" {
			l.By = "an administrator"
		}
	case KeyCompromised:
		l.By, l.Reason, l.ID = words(e.Actor.ID), words(e.Reason), words(e.Data["kid"])
	case ForgedToken:
		l.Count, l.ID = words(e.Data["sightings"]), words(e.Data["kid"])
	default:
	}
	return l, nil
}

// app is what a client is called, its id when it is gone or has no name.
func (c *Channel) app(ctx context.Context, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	client, err := c.cfg.Store.Client(ctx, id)
	if err != nil && !errors.Is(err, authority.ErrNotFound) {
		return "", fmt.Errorf("mail: client: %w", err)
	}
	if name := words(client.Name); err == nil && name != "" {
		return name, nil
	}
	return words(id), nil
}
