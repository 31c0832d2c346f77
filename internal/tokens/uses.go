package tokens

import (
	"context"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/oauth"
)

// Reasons for which a use is not counted, besides those for which a token is
// refused anyhow. They are codes of the guard's table.
const (
	ReasonNoUsesLeft   = oauth.ReasonNoUsesLeft
	ReasonNotSingleUse = oauth.ReasonNotSingleUse
)

// Use is one use of a token. Request is the same when a guard asks again
// because it got no answer.
type Use struct {
	Sighting
	Request [16]byte
}

// Consume counts uses and answers, for each, "" if it was counted, or the
// reason to refuse it.
func (s *Service) Consume(ctx context.Context, uses []Use, from authority.Context) ([]string, error) {
	if len(uses) > MaxSightings {
		return nil, fmt.Errorf("tokens: %d uses in one question, at most %d", len(uses), MaxSightings)
	}
	rows := make([]authority.Use, len(uses))
	for i, u := range uses {
		rows[i] = authority.Use{Token: u.ID, Digest: u.Digest, Request: u.Request}
	}
	outcomes, err := s.cfg.Store.Consume(ctx, rows, s.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("tokens: consume: %w", err)
	}
	reasons := make([]string, len(uses))
	var unknown []Sighting // the registry says more of them
	var at []int
	for i, outcome := range outcomes {
		switch {
		case outcome == nil:
		case errors.Is(outcome, authority.ErrUsed):
			reasons[i] = ReasonNoUsesLeft
		case errors.Is(outcome, authority.ErrConflict):
			reasons[i] = ReasonNotSingleUse
		case errors.Is(outcome, authority.ErrEnded):
			reasons[i] = ReasonRevoked
		default:
			reasons[i] = ReasonUnknown
			unknown, at = append(unknown, uses[i].Sighting), append(at, i)
		}
	}
	if len(unknown) == 0 {
		return reasons, nil
	}
	verdicts, err := s.Sightings(ctx, unknown, from)
	if err != nil {
		return nil, err
	}
	for i, verdict := range verdicts {
		if verdict != "" {
			reasons[at[i]] = verdict
		}
	}
	return reasons, nil
}
