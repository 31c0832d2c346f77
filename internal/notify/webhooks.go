package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// ErrInvalid is wrapped together with everything that is wrong with a webhook.
var ErrInvalid = errors.New("invalid webhook")

// Overlap is how long a secret that was replaced signs beside its successor.
const Overlap = 24 * time.Hour

// WebhooksConfig holds what Webhooks needs. Store and Sealer are required.
type WebhooksConfig struct {
	Store  authority.WebhookStore
	Sealer *secret.Sealer
	Now    func() time.Time
	Logger *slog.Logger
}

// Webhooks owns webhooks, and is the channel that serves them.
type Webhooks struct {
	cfg     WebhooksConfig
	clients clients
}

// NewWebhooks returns the owner of webhooks.
func NewWebhooks(cfg WebhooksConfig) *Webhooks {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Webhooks{cfg: cfg, clients: newClients()}
}

// WebhookSpec is what an operator decides about a webhook.
type WebhookSpec struct {
	Name         string
	URL          string
	Events       []string
	AllowPrivate bool
	Disabled     bool

	// Secret of a new webhook; default: a random one. For one that is there, it
	// replaces the newest, which signs for Overlap more; default: no change.
	Secret secret.Value
}

var (
	webhookName  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	eventPattern = regexp.MustCompile(`^[a-z_]*\*?$`)
)

const maxWebhooks = 100 // each event is held against all of them

// Wants reports whether an event type matches one of the patterns: a type, a
// prefix and *, or * alone.
func Wants(patterns []string, t authority.EventType) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(string(t), prefix)
		}
		return pattern == string(t)
	})
}

func (p WebhookSpec) check() error {
	var problems []error
	if !webhookName.MatchString(p.Name) {
		problems = append(problems, errors.New("name: it is 1 to 64 of a-z, 0-9, dot, dash and underscore, and begins with a letter or digit"))
	}
	if len(p.URL) > 2048 {
		problems = append(problems, errors.New("URL: it is longer than 2048 bytes"))
	} else if err := CheckURL(p.URL, p.AllowPrivate); err != nil {
		problems = append(problems, fmt.Errorf("URL: it %w", err))
	}
	if len(p.Events) == 0 {
		problems = append(problems, errors.New("events: name at least one, or * for all"))
	}
	for _, pattern := range p.Events {
		// A misspelt one would tell nothing, in silence.
		if !eventPattern.MatchString(pattern) || !slices.ContainsFunc(authority.EventTypes(), func(t authority.EventType) bool { return Wants([]string{pattern}, t) }) {
			problems = append(problems, fmt.Errorf("events: no event matches %q", pattern))
		}
	}
	if !p.Secret.Empty() && admin.CheckWebhookSecret(p.Secret.Reveal()) != nil {
		problems = append(problems, errors.New("secret: it is not whsec_ and base64 of 24 to 64 bytes"))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// Set creates the webhook of this name, or brings it to what p says; without a
// difference it changes nothing. The secret it returns was made here and is
// shown by nothing else, or empty.
func (w *Webhooks) Set(ctx context.Context, actor authority.Actor, p WebhookSpec, reason string) (authority.Webhook, secret.Value, error) {
	if err := p.check(); err != nil {
		return authority.Webhook{}, secret.Value{}, err
	}
	before, err := w.cfg.Store.Webhook(ctx, p.Name)
	if err != nil && !errors.Is(err, authority.ErrNotFound) {
		return authority.Webhook{}, secret.Value{}, fmt.Errorf("set a webhook: %w", err)
	}
	now := w.cfg.Now()
	after := before
	after.Name, after.URL, after.Events, after.AllowPrivate, after.Disabled = p.Name, p.URL, p.Events, p.AllowPrivate, p.Disabled
	var made secret.Value
	switch {
	case before.Version > 0 && (p.Secret.Empty() || w.HasSecret(before, p.Secret)):
		if same(before, after) {
			return before, secret.Value{}, nil
		}
	default:
		given := p.Secret
		if given.Empty() {
			given = newWebhookSecret()
			made = given
		}
		after.Secrets = w.rotated(before.Secrets, given, Overlap, now)
	}
	if before.Version == 0 {
		if err := w.checkCount(ctx); err != nil {
			return authority.Webhook{}, secret.Value{}, err
		}
		after.CreatedAt = now
	}
	after.UpdatedAt = now
	e := w.event(authority.EventWebhookSet, actor, p.Name, reason, now)
	e.Data["url"], e.Data["events"] = hostOf(p.URL), strings.Join(p.Events, " ")
	after, err = w.put(ctx, after, e, "set a webhook")
	return after, made, err
}

func same(a, b authority.Webhook) bool {
	return a.URL == b.URL && slices.Equal(a.Events, b.Events) && a.AllowPrivate == b.AllowPrivate && a.Disabled == b.Disabled
}

func (w *Webhooks) checkCount(ctx context.Context) error {
	all, err := w.cfg.Store.Webhooks(ctx)
	if err != nil {
		return fmt.Errorf("set a webhook: %w", err)
	}
	if len(all) >= maxWebhooks {
		return fmt.Errorf("%w: there are %d webhooks, which is the most", ErrInvalid, len(all))
	}
	return nil
}

func (w *Webhooks) put(ctx context.Context, hook authority.Webhook, e authority.Event, what string) (authority.Webhook, error) {
	if err := w.cfg.Store.PutWebhook(ctx, hook, e); err != nil {
		return authority.Webhook{}, fmt.Errorf("%s: %w", what, err)
	}
	return w.cfg.Store.Webhook(ctx, hook.Name)
}

// RotateSecret gives a webhook a new secret (default: a random one, which is
// returned). The old one signs for overlap more, so that the receiver can change
// over at any moment in between.
func (w *Webhooks) RotateSecret(ctx context.Context, actor authority.Actor, name string, given secret.Value, overlap time.Duration, reason string) (authority.Webhook, secret.Value, error) {
	if !given.Empty() && admin.CheckWebhookSecret(given.Reveal()) != nil {
		return authority.Webhook{}, secret.Value{}, fmt.Errorf("%w: secret: it is not whsec_ and base64 of 24 to 64 bytes", ErrInvalid)
	}
	if overlap < 0 {
		return authority.Webhook{}, secret.Value{}, fmt.Errorf("%w: overlap: it is negative", ErrInvalid)
	}
	hook, err := w.cfg.Store.Webhook(ctx, name)
	if err != nil {
		return authority.Webhook{}, secret.Value{}, fmt.Errorf("rotate a webhook's secret: %w", err)
	}
	var made secret.Value
	if given.Empty() {
		given = newWebhookSecret()
		made = given
	}
	now := w.cfg.Now()
	hook.Secrets, hook.UpdatedAt = w.rotated(hook.Secrets, given, overlap, now), now
	hook, err = w.put(ctx, hook, w.event(authority.EventWebhookRotated, actor, name, reason, now), "rotate a webhook's secret")
	return hook, made, err
}

// rotated puts a secret in front of the newest of those before, which ends
// after overlap. Two are live at a time.
func (w *Webhooks) rotated(before []authority.WebhookSecret, given secret.Value, overlap time.Duration, now time.Time) []authority.WebhookSecret {
	id := secret.NewID(now)
	list := []authority.WebhookSecret{{
		ID: id, Sealed: w.cfg.Sealer.Seal([]byte(given.Reveal()), authority.WebhookSecretPlace(id)), CreatedAt: now,
	}}
	if len(before) > 0 && overlap > 0 {
		last := before[0]
		last.ExpiresAt = now.Add(overlap)
		list = append(list, last)
	}
	return list
}

// HasSecret reports whether given is the newest secret of a webhook.
func (w *Webhooks) HasSecret(hook authority.Webhook, given secret.Value) bool {
	if len(hook.Secrets) == 0 {
		return false
	}
	newest := hook.Secrets[0]
	plain, err := w.cfg.Sealer.Open(newest.Sealed, authority.WebhookSecretPlace(newest.ID))
	return err == nil && given.Equal(string(plain))
}

func newWebhookSecret() secret.Value {
	return secret.New(admin.WebhookSecretPrefix + base64.StdEncoding.EncodeToString(secret.Bytes(32)))
}

// Get returns a webhook, or authority.ErrNotFound.
func (w *Webhooks) Get(ctx context.Context, name string) (authority.Webhook, error) {
	return w.cfg.Store.Webhook(ctx, name)
}

// List returns webhooks by name.
func (w *Webhooks) List(ctx context.Context) ([]authority.Webhook, error) {
	return w.cfg.Store.Webhooks(ctx)
}

// Delete removes a webhook. What was not delivered yet is given up at its next attempt.
func (w *Webhooks) Delete(ctx context.Context, actor authority.Actor, name, reason string) error {
	now := w.cfg.Now()
	if err := w.cfg.Store.DeleteWebhook(ctx, name, w.event(authority.EventWebhookDeleted, actor, name, reason, now)); err != nil {
		return fmt.Errorf("delete a webhook: %w", err)
	}
	return nil
}

// testPatience bounds a test message.
const testPatience = 10 * time.Second

// Test sends a message of type "test" at once, past the outbox, and returns
// what became of it.
func (w *Webhooks) Test(ctx context.Context, actor authority.Actor, name string) (took time.Duration, refused, err error) {
	hook, err := w.cfg.Store.Webhook(ctx, name)
	if err != nil {
		return 0, nil, fmt.Errorf("test a webhook: %w", err)
	}
	now := w.cfg.Now()
	id := secret.NewID(now).String()
	body, err := json.Marshal(admin.WebhookMessage{
		ID: id, Type: "test", Timestamp: now.UTC(),
		Data: admin.Event{ID: id, At: now.UTC(), Type: "test", Actor: admin.Actor{Kind: actor.Kind, ID: actor.ID}},
	})
	if err != nil {
		return 0, nil, fmt.Errorf("test a webhook: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, testPatience)
	defer cancel()
	refused = w.post(ctx, hook, id, body)
	return w.cfg.Now().Sub(now), refused, nil
}

func (w *Webhooks) event(t authority.EventType, actor authority.Actor, name, reason string, now time.Time) authority.Event {
	return authority.Event{ID: secret.NewID(now), Type: t, Actor: actor, Reason: reason, Data: map[string]string{"webhook": name}}
}

// hostOf is the part of a URL that cannot hold a secret of the receiver.
func hostOf(text string) string {
	if _, rest, ok := strings.Cut(text, "://"); ok {
		host, _, _ := strings.Cut(rest, "/")
		host, _, _ = strings.Cut(host, "?")
		return host
	}
	return ""
}
