package tokens

import (
	"context"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// MaxSightings is the most tokens one registry question may hold.
const MaxSightings = 256

// Sighting is a token that a guard has verified and sees for the first time:
// its id, the first half of its SHA-256, and the key that signed it. The token
// itself never travels.
type Sighting struct {
	ID     secret.ID
	Digest [16]byte
	KeyID  string
}

// Sightings answers a guard's registry question: for each token "" if it is
// alive, or the reason to refuse it.
func (s *Service) Sightings(ctx context.Context, seen []Sighting, from authority.Context) ([]string, error) {
	if len(seen) > MaxSightings {
		return nil, fmt.Errorf("tokens: %d sightings in one question, at most %d", len(seen), MaxSightings)
	}
	ids := make([]secret.ID, len(seen))
	for i, x := range seen {
		ids[i] = x.ID
	}
	states, err := s.cfg.Store.Tokens(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("tokens: registry: %w", err)
	}
	verdicts := make([]string, len(seen))
	for i, x := range seen {
		state, known := states[x.ID]
		if known && !s.cfg.Now().Before(state.ExpiresAt) {
			verdicts[i] = "expired"
			continue
		}
		if verdicts[i], err = s.judge(ctx, x.ID, x.Digest, state, known); err != nil {
			return nil, err
		}
		if verdicts[i] == ReasonUnknown {
			s.forgery(ctx, x.KeyID, x.ID, state.GrantID, from)
		}
	}
	return verdicts, nil
}
