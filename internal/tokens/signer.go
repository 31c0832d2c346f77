package tokens

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/oauth"
)

// resourcesFor is how old the knowledge of which ring signs for which audience
// may be. A change on this node is seen at once, see ForgetResources.
const resourcesFor = time.Second

// sharedRings are the audiences whose tokens a ring of shared secrets signs.
type sharedRings struct {
	byAudience map[string]string
	until      time.Time
	busy       atomic.Bool // somebody reads them again
}

// ForgetResources makes the next token see a change of resources.
func (s *Service) ForgetResources() { s.shared.Store(nil) }

// accessSigner is the key for an access token with these audiences: of the ring
// that is registered for them, or of the access ring.
func (s *Service) accessSigner(audience []string) (*jwk.Key, error) {
	rings, err := s.ringsByAudience()
	if err != nil {
		return nil, err
	}
	if len(rings) == 0 {
		return s.cfg.Keys.AccessSigner()
	}
	ring := ""
	for i, a := range audience {
		if i > 0 && rings[a] != ring {
			return nil, oauth.Refuse(oauth.InvalidRequest, "these resources do not share a way of signing: ask for one token each")
		}
		ring = rings[a]
	}
	if ring == "" {
		return s.cfg.Keys.AccessSigner()
	}
	return s.cfg.Keys.SharedSigner(ring)
}

// ringsByAudience reads the resources once a second, if tokens are made. While
// one caller reads, the others use what was known.
func (s *Service) ringsByAudience() (map[string]string, error) {
	known, now := s.shared.Load(), s.cfg.Now()
	if known != nil && (now.Before(known.until) || !known.busy.CompareAndSwap(false, true)) {
		return known.byAudience, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resourcePatience)
	defer cancel()
	resources, err := s.cfg.Store.Resources(ctx)
	if err != nil {
		if known != nil {
			known.busy.Store(false)
		}
		return nil, fmt.Errorf("tokens: resources: %w", err)
	}
	next := &sharedRings{until: now.Add(resourcesFor)}
	for _, r := range resources {
		if r.Ring != "" {
			if next.byAudience == nil {
				next.byAudience = make(map[string]string)
			}
			next.byAudience[r.Audience] = r.Ring
		}
	}
	// Not over a ForgetResources that came meanwhile.
	s.shared.CompareAndSwap(known, next)
	return next.byAudience, nil
}

const resourcePatience = 5 * time.Second

// accessAlgorithms are those that access tokens may have. Which one a token must
// have is decided by its key.
func accessAlgorithms() []jwk.Algorithm {
	return []jwk.Algorithm{jwk.ES256, jwk.ES384, jwk.Ed25519, jwk.RS256, jwk.PS256, jwk.HS256}
}

// accessRing reports whether keys of the ring sign access tokens.
func accessRing(ring string) bool {
	return ring == authority.RingAccess || authority.SharedRing(ring)
}
