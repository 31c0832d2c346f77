package mint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// storedBatch is what of a batch waits for approval.
type storedBatch struct {
	Items  []json.RawMessage `json:"items"`
	Atomic bool              `json:"atomic,omitempty"`
}

// ask stores a batch until a second person decides.
func (s *Service) ask(ctx context.Context, client authority.Client, b Batch, p *plan) (oauth.MintResponse, error) {
	if len(p.codes) > 0 {
		// Nobody approves what could not be minted anyhow.
		return p.nothing(true), nil
	}
	body, err := json.Marshal(storedBatch{b.Items, b.Atomic})
	if err != nil {
		return oauth.MintResponse{}, fmt.Errorf("mint: store a batch: %w", err)
	}
	now := s.cfg.Now()
	r := authority.MintRequest{
		ID: secret.NewID(now), ClientID: client.ID, RequestedBy: b.RequestedBy, Body: body,
		State: authority.MintPending, CreatedAt: now, ExpiresAt: now.Add(approvalTime),
	}
	if len(p.grants) > 0 {
		r.Reason = p.grants[0].reason
	}
	e := event(authority.EventMintRequested, authority.Actor{Kind: "client", ID: client.ID}, r)
	e.ID, e.Context = secret.NewID(now), b.Context
	if err := s.cfg.Store.CreateMintRequest(ctx, r, e); err != nil {
		return oauth.MintResponse{}, fmt.Errorf("mint: store a batch: %w", err)
	}
	return standing(r, authority.MintPending), nil
}

func standing(r authority.MintRequest, state authority.MintState) oauth.MintResponse {
	return oauth.MintResponse{Request: r.ID.String(), State: string(state), ExpiresAt: r.ExpiresAt.Unix()}
}

func event(kind authority.EventType, actor authority.Actor, r authority.MintRequest) authority.Event {
	e := authority.Event{Type: kind, Actor: actor, ClientID: r.ClientID, Reason: r.Reason, Data: map[string]string{"request": r.ID.String()}}
	if r.RequestedBy != "" {
		e.Data["requested_by"] = r.RequestedBy
	}
	return e
}

// Collect carries out a request of the client's that was approved, once, or
// says where it stands.
func (s *Service) Collect(ctx context.Context, id string, b Batch) (answer oauth.MintResponse, complete bool, err error) {
	client, err := b.Client(ctx)
	if err != nil {
		return answer, false, err
	}
	unknown := oauth.Refuse(oauth.InvalidRequest, "there is no such request of this client")
	parsed, err := secret.ParseID(id)
	if err != nil {
		return answer, false, unknown
	}
	r, err := s.cfg.Store.MintRequest(ctx, parsed)
	switch {
	case errors.Is(err, authority.ErrNotFound), err == nil && r.ClientID != client.ID:
		return answer, false, unknown
	case err != nil:
		return answer, false, fmt.Errorf("mint: look up a request: %w", err)
	case r.State != authority.MintApproved:
		return standing(r, r.State), r.State == authority.MintPending, nil
	case !s.cfg.Now().Before(r.ExpiresAt):
		return standing(r, "expired"), false, nil
	}
	var stored storedBatch
	if err := json.Unmarshal(r.Body, &stored); err != nil {
		return answer, false, fmt.Errorf("mint: a stored batch: %w", err)
	}
	b.Items, b.Atomic, b.RequestedBy = stored.Items, stored.Atomic, r.RequestedBy
	b.request, b.approvedBy = r.ID, r.DecidedBy
	answer, complete, err = s.Mint(ctx, b)
	if errors.Is(err, authority.ErrUsed) {
		return standing(r, authority.MintDone), false, nil
	}
	return answer, complete, err
}

// Pending lists the requests that wait for a decision.
func (s *Service) Pending(ctx context.Context, p authority.Page) ([]authority.MintRequest, error) {
	return s.cfg.Store.MintRequests(ctx, s.cfg.Now(), p)
}

// ErrSamePerson refuses an approval by the one who asked.
var ErrSamePerson = errors.New("the one who asked cannot approve")

// Decide approves or denies a request. by is the second person.
func (s *Service) Decide(ctx context.Context, actor authority.Actor, id secret.ID, approve bool, by, why string) error {
	r, err := s.cfg.Store.MintRequest(ctx, id)
	if err != nil {
		return fmt.Errorf("mint: look up a request: %w", err)
	}
	state, kind := authority.MintDenied, authority.EventMintDenied
	if approve {
		state, kind = authority.MintApproved, authority.EventMintApproved
		if r.RequestedBy != "" && r.RequestedBy == by {
			return ErrSamePerson
		}
	}
	e := event(kind, actor, r)
	e.ID, e.Reason = secret.NewID(s.cfg.Now()), why
	e.Data["decided_by"] = by
	if err := s.cfg.Store.DecideMintRequest(ctx, id, state, by, s.cfg.Now(), e); err != nil {
		return fmt.Errorf("mint: decide a request: %w", err)
	}
	return nil
}
