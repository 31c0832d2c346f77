package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// LogoutConfig holds the parts of the channel for back-channel logout.
type LogoutConfig struct {
	Store authority.LogoutStore
	// Client finds a client, or returns authority.ErrNotFound.
	Client func(ctx context.Context, id string) (authority.Client, error)
	// Token signs a logout token.
	Token func(client authority.Client, account, session secret.ID) (string, error)
	// AllowPrivate lets clients be at addresses that are not public.
	AllowPrivate bool
}

// Logout tells clients of the sessions that ended (OpenID Connect Back-Channel
// Logout 1.0). A session that merely expires is not announced: each client was
// told when it would.
type Logout struct {
	cfg     LogoutConfig
	clients clients
}

// NewLogout returns the channel.
func NewLogout(cfg LogoutConfig) *Logout { return &Logout{cfg: cfg, clients: newClients()} }

// Name implements Channel.
func (*Logout) Name() string { return "logout" }

// logoutBody is what a delivery remembers. The token is made at each attempt: it
// lives for two minutes only.
type logoutBody struct {
	Account secret.ID `json:"account"`
	Session secret.ID `json:"session"`
}

// Plan implements Channel. Whatever the event is called: what ended in its commit is told.
func (l *Logout) Plan(ctx context.Context, e authority.Event) ([]Message, error) {
	ended, err := l.cfg.Store.SessionsEndedBy(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	var messages []Message
	for _, c := range ended {
		body, err := json.Marshal(logoutBody{c.AccountID, c.SessionID})
		if err != nil {
			return nil, err
		}
		messages = append(messages, Message{Target: c.ClientID, Body: body})
	}
	return messages, nil
}

// Send implements Channel (sections 2.5 and 2.8 of the specification).
func (l *Logout) Send(ctx context.Context, d authority.Delivery) error {
	client, err := l.cfg.Client(ctx, d.Target)
	switch {
	case errors.Is(err, authority.ErrNotFound):
		return Permanent(errors.New("the client is gone"))
	case err != nil:
		return errors.New("the client cannot be looked up")
	case client.BackchannelLogoutURI == "":
		return Permanent(errors.New("the client has no back-channel logout URI any more"))
	}
	if err := CheckURL(client.BackchannelLogoutURI, l.cfg.AllowPrivate); err != nil {
		return Permanent(fmt.Errorf("the client's back-channel logout URI: %w", err))
	}
	var body logoutBody
	if err := json.Unmarshal(d.Body, &body); err != nil {
		return Permanent(errors.New("its body cannot be read"))
	}
	token, err := l.cfg.Token(client, body.Account, body.Session)
	if err != nil {
		return errors.New("no logout token could be signed")
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	form := url.Values{"logout_token": {token}}.Encode()
	reply, err := post(ctx, l.clients.of(l.cfg.AllowPrivate), client.BackchannelLogoutURI, header, []byte(form))
	if err != nil {
		return err
	}
	return logoutRefusal(reply)
}

// logoutRefusal says what the client made of the token. It is sent again only
// after a failure that may pass: a client that refuses the token will refuse the
// next one.
func logoutRefusal(reply answer) error {
	err := reply.refusal()
	switch code := reply.status; {
	case err == nil:
		return nil
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests:
		return err
	default:
		return Permanent(err)
	}
}
