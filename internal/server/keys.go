package server

import (
	"time"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/revocation"
)

// longestID is the longest lifetime of ID tokens that can be configured: a key of
// before a change of the configuration has signed by that one.
const longestID = 24 * time.Hour

// schedule is the configuration's schedule of keys.
func schedule(cfg config.Config) keys.Schedule {
	k := cfg.Keys
	skew := k.ClockSkew
	if skew == 0 {
		skew = -1 // none, and not the default
	}
	return keys.Schedule{
		Access: k.AccessPeriod, ID: k.IDPeriod, Refresh: k.RefreshPeriod, Flow: k.FlowPeriod, Shared: k.SharedPeriod,
		Cache: k.CacheTime, Staging: k.Staging, Skew: skew,
		AccessLife: maxAccessLifetime, IDLife: longestID, RefreshLife: cfg.Tokens.RefreshAbsolute,
	}
}

func algorithms(names []string) []jwk.Algorithm {
	var algs []jwk.Algorithm
	for _, name := range names {
		algs = append(algs, jwk.Algorithm(name))
	}
	return algs
}

// keysMoved is told what the log says besides tokens, grants and sessions.
func (s *Server) keysMoved(e revocation.Entry) {
	if e.Kind == revocation.KeyRing {
		s.rings.Stir()
	}
}
