package mint

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/throttle"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

const (
	// MaxItems is the most requests in a batch.
	MaxItems = 1000
	// maxItem bounds one request, in bytes.
	maxItem = 4 << 10
	// maxKey bounds an idempotency key, in bytes.
	maxKey = 255

	defaultLifetime = 5 * time.Minute
	defaultRate     = 60_000 // tokens a minute
	approvalTime    = time.Hour
	remembered      = 24 * time.Hour // a batch with a key
	tries           = 4
)

// Store is what minting reads.
type Store interface {
	authority.MintStore
	AppendEvent(ctx context.Context, e authority.Event) error
	Account(ctx context.Context, id secret.ID) (authority.Account, error)
	AccountByLogin(ctx context.Context, login string) (authority.Account, error)
	Sessions(ctx context.Context, account secret.ID, p authority.Page) ([]authority.Session, error)
}

// Config holds the parts of a Service. All but Now and Logger are required.
type Config struct {
	Store  Store
	Tokens *tokens.Service
	// Audience is the audience of a client that names none.
	Audience    func(authority.Client) string
	MaxLifetime time.Duration // of any access token
	Now         func() time.Time
	Logger      *slog.Logger
}

// Service mints batches. It is safe for concurrent use.
type Service struct {
	cfg    Config
	rates  rates
	events *throttle.Table
}

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg, events: throttle.New(1 << 10)}
}

// Batch is a decoded call of the mint endpoint.
type Batch struct {
	Items       []json.RawMessage
	Atomic      bool
	Key         string // idempotency key, "" for none
	RequestedBy string // the person behind the client, for the audit trail
	Context     authority.Context

	// Client authenticates the caller, on the record as it is now.
	Client func(context.Context) (authority.Client, error)

	request    secret.ID // approved; zero: none
	approvedBy string
}

var (
	errNoPolicy  = oauth.Refuse(oauth.UnauthorizedClient, "the client has no minting policy")
	errKeyReused = oauth.RefuseFor(oauth.ReasonKeyReused, "the idempotency key was used for another batch", nil)
	errUnsettled = errors.New("mint: accounts, sessions or the client keep changing")
)

// Mint carries out a batch, or answers one that was carried out before.
// complete is false if the batch was atomic and nothing was minted.
func (s *Service) Mint(ctx context.Context, b Batch) (answer oauth.MintResponse, complete bool, err error) {
	client, err := b.Client(ctx)
	if err != nil {
		return answer, false, err
	}
	if client.Mint == nil || client.Public() {
		s.refused(ctx, client, b, map[oauth.MintCode]int{"no_policy": len(b.Items)}, "")
		return answer, false, errNoPolicy
	}
	if len(b.Items) == 0 || len(b.Items) > MaxItems {
		return answer, false, oauth.Refuse(oauth.InvalidRequest, "a batch has 1 to 1000 requests")
	}
	if len(b.Key) > maxKey {
		return answer, false, oauth.Refuse(oauth.InvalidRequest, "the idempotency key is longer than 255 bytes")
	}
	digest := b.digest()
	paid := false
	for range tries {
		if answer, done, err := s.before(ctx, client, b.Key, digest); done || err != nil {
			return answer, true, err
		}
		p := s.plan(ctx, client, b, !paid)
		if p.err != nil {
			return answer, false, p.err
		}
		paid = true
		p.approvedBy = b.approvedBy
		if len(p.codes) > 0 {
			s.refused(ctx, client, b, p.codes, p.firstRefused)
		}
		if len(p.mints) == 0 || b.Atomic && len(p.codes) > 0 {
			return p.nothing(b.Atomic), !b.Atomic, nil
		}
		if client.Mint.Approval && b.request.IsZero() {
			answer, err := s.ask(ctx, client, b, p)
			return answer, true, err
		}
		answer, err := s.commit(ctx, client, b, p, digest)
		switch {
		case err == nil:
			return answer, true, nil
		case errors.Is(err, authority.ErrConflict) && b.Key != "":
			// Another call with this key was quicker.
		case errors.Is(err, authority.ErrEnded):
			if client, err = b.Client(ctx); err != nil {
				return answer, false, err
			}
			if client.Mint == nil {
				return answer, false, errNoPolicy
			}
		default:
			return answer, false, err
		}
	}
	return answer, false, errUnsettled
}

// before answers a batch whose key is remembered.
func (s *Service) before(ctx context.Context, client authority.Client, key string, digest [32]byte) (answer oauth.MintResponse, done bool, err error) {
	if key == "" {
		return answer, false, nil
	}
	known, err := s.cfg.Tokens.MintedAlready(ctx, client.ID, key)
	switch {
	case errors.Is(err, authority.ErrNotFound):
		return answer, false, nil
	case err != nil:
		return answer, false, err
	case known.Digest != digest:
		return answer, false, errKeyReused
	}
	if err := json.Unmarshal(known.Answer, &answer); err != nil {
		return answer, false, fmt.Errorf("mint: remembered batch: %w", err)
	}
	answer.Replayed = true
	return answer, true, nil
}

// digest is of all that decides what a batch is.
func (b Batch) digest() [32]byte {
	h := sha256.New()
	for _, item := range b.Items {
		_, _ = fmt.Fprintf(h, "%d:%s", len(item), item)
	}
	_, _ = fmt.Fprint(h, b.Atomic, b.request)
	return [32]byte(h.Sum(nil))
}

// commit signs and stores what the plan allows.
func (s *Service) commit(ctx context.Context, client authority.Client, b Batch, p *plan, digest [32]byte) (oauth.MintResponse, error) {
	batch := authority.MintBatch{
		Grants: p.people(), Events: s.minted(client, b, p), Key: b.Key, Digest: digest, Expires: s.cfg.Now().Add(remembered), Request: b.request,
	}
	answer := oauth.MintResponse{Results: p.results}
	fill := func(made []tokens.MintedToken, withTokens bool) {
		for i, at := range p.at {
			m := made[i]
			r := oauth.MintResult{ID: m.ID.String(), GrantID: m.GrantID.String(), ExpiresAt: m.ExpiresAt.Unix()}
			if withTokens {
				r.AccessToken, r.TokenType = m.Token.Reveal(), oauth.Bearer
				r.ExpiresIn = m.ExpiresAt.Unix() - s.cfg.Now().Unix()
			}
			answer.Results[at] = r
		}
	}
	made, err := s.cfg.Tokens.MintAll(ctx, client, p.mints, batch, func(made []tokens.MintedToken) ([]byte, error) {
		fill(made, false) // what is kept holds nothing that could be used as a token
		return json.Marshal(answer)
	}, b.Context, func(ctx context.Context) error { _, err := b.Client(ctx); return err })
	if err != nil {
		return oauth.MintResponse{}, err
	}
	fill(made, true)
	return answer, nil
}

// minted are the events of a batch: one for the client, and one in the activity
// of each person.
func (s *Service) minted(client authority.Client, b Batch, p *plan) []authority.Event {
	event := func(kind authority.EventType) authority.Event {
		e := authority.Event{
			ID: secret.NewID(s.cfg.Now()), Type: kind, Actor: authority.Actor{Kind: "client", ID: client.ID},
			ClientID: client.ID, Context: b.Context, Data: map[string]string{},
		}
		if b.RequestedBy != "" {
			e.Data["requested_by"] = b.RequestedBy
		}
		if p.approvedBy != "" {
			e.Data["approved_by"] = p.approvedBy
		}
		return e
	}
	whole := event(authority.EventMinted)
	whole.Data["tokens"] = strconv.Itoa(len(p.mints))
	events := []authority.Event{whole}
	for _, g := range p.grants {
		e := event(authority.EventGrantCreated)
		e.AccountID, e.SessionID, e.GrantID, e.Reason = g.AccountID, g.SessionID, g.ID, g.reason
		e.Data["act"], e.Data["tokens"] = client.ID, strconv.Itoa(g.tokens)
		events = append(events, e)
	}
	return events
}

// refused records what a client was not given, at most sixty times a minute per
// client; the next record says how many were left out.
func (s *Service) refused(ctx context.Context, client authority.Client, b Batch, codes map[oauth.MintCode]int, subject string) {
	skipped, ok := s.events.Sample(s.cfg.Now(), client.ID, 60, time.Minute)
	if !ok {
		return
	}
	e := authority.Event{
		ID: secret.NewID(s.cfg.Now()), Type: authority.EventMintRefused, Actor: authority.Actor{Kind: "client", ID: client.ID},
		ClientID: client.ID, Context: b.Context, Data: map[string]string{},
	}
	for code, n := range codes {
		e.Data[string(code)] = strconv.Itoa(n)
	}
	if subject != "" {
		e.Data["subject"] = subject
	}
	if b.RequestedBy != "" {
		e.Data["requested_by"] = b.RequestedBy
	}
	if skipped > 0 {
		e.Data["left_out"] = strconv.Itoa(skipped)
	}
	if err := s.cfg.Store.AppendEvent(ctx, e); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "audit event not written", "type", e.Type, "error", err)
	}
}
