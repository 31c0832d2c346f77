package jwt

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

const (
	maxLeeway           = time.Minute
	defaultFutureLeeway = 10 * time.Second
	defaultProofAge     = time.Minute
)

// Config says which tokens a [Verifier] accepts. Profile, Issuer, Audience,
// Algorithms and Keys are required; a [DPoPProof] has no issuer, audience and
// keys.
type Config struct {
	// Profile is the kind of token.
	Profile Profile

	// Issuer is the exact value of iss. The keys must be this issuer's.
	Issuer string

	// Audience are the names of the one who verifies. The token's aud must
	// contain at least one of them, exactly.
	Audience []string

	// Algorithms are those that may be used. A token must use the algorithm of
	// its key, and that must be on this list. A key that does not state its
	// algorithm is only ever used with the first one on the list that fits it.
	Algorithms []jwk.Algorithm

	// Keys are the issuer's keys.
	Keys jwk.Source

	// Leeway is how long after exp a token is still taken, at most a minute, for
	// clocks that differ. Zero means none: exp is the first second of refusal.
	// It also applies to nbf, where FutureLeeway is smaller.
	Leeway time.Duration

	// FutureLeeway is how far ahead of the clock iat and nbf may be, at most a
	// minute. Zero means 10 seconds, negative means none.
	FutureLeeway time.Duration

	// MaxAge is how long ago iat may be. Zero means no limit, and for DPoP proofs
	// one minute. It is required for profiles without exp.
	MaxAge time.Duration

	// MaxBytes is the length of the longest token. Zero means [DefaultMaxBytes].
	MaxBytes int

	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// InsecureNoAudience accepts tokens for anybody. Audience must then be empty.
	InsecureNoAudience bool

	// InsecureAllowExpired accepts tokens long after exp. An ID token as
	// id_token_hint is the one use known.
	InsecureAllowExpired bool
}

// Verifier checks tokens of one kind. It is safe for concurrent use.
type Verifier struct {
	config   Config
	required claimBits
	others   []string // required claims that have no bit
	headers  headerCache
	scratch  sync.Pool // *[]byte
}

// NewVerifier checks the configuration and reports all its problems at once.
func NewVerifier(c Config) (*Verifier, error) {
	c.Audience = slices.Clone(c.Audience)
	c.Algorithms = slices.Clone(c.Algorithms)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	switch {
	case c.FutureLeeway == 0:
		c.FutureLeeway = defaultFutureLeeway
	case c.FutureLeeway < 0:
		c.FutureLeeway = 0
	}
	if c.Profile.embedded && c.MaxAge == 0 {
		c.MaxAge = defaultProofAge
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	v := &Verifier{config: c}
	for _, name := range c.Profile.Required {
		if bit := claimBit(name); bit != 0 {
			v.required |= bit
		} else {
			v.others = append(v.others, name)
		}
	}
	if c.MaxAge > 0 {
		v.required |= bitIat
	}
	v.scratch.New = func() any { return new([]byte) }
	return v, nil
}

func (c *Config) validate() error {
	var problems []error
	add := func(bad bool, problem string) {
		if bad {
			problems = append(problems, errors.New("jwt: verifier: "+problem))
		}
	}
	p := &c.Profile
	add(p.Type == "" && !p.untyped, "no Profile")
	add(len(c.Algorithms) == 0, "no Algorithms")
	for _, alg := range c.Algorithms {
		if !alg.Supported() {
			problems = append(problems, fmt.Errorf("jwt: verifier: algorithm %q is not supported", alg))
		}
		add(p.embedded && alg.Symmetric(), "a key in the header cannot be symmetric")
	}
	if p.embedded {
		add(c.Keys != nil || c.Issuer != "" || len(c.Audience) > 0, "this Profile has no Keys, Issuer and Audience")
	} else {
		add(c.Keys == nil, "no Keys")
		add(c.Issuer == "", "no Issuer")
		add(len(c.Audience) == 0 && !c.InsecureNoAudience, "no Audience")
		add(len(c.Audience) > 0 && c.InsecureNoAudience, "Audience together with InsecureNoAudience")
		add(slices.Contains(c.Audience, ""), "empty Audience")
	}
	add(c.Leeway < 0 || c.Leeway > maxLeeway, "Leeway is negative or above a minute")
	add(c.FutureLeeway > maxLeeway, "FutureLeeway is above a minute")
	add(c.MaxAge < 0, "MaxAge is negative")
	add(c.MaxAge == 0 && !slices.Contains(p.Required, "exp"), "MaxAge is needed for tokens without exp")
	add(c.MaxBytes < 0, "MaxBytes is negative")
	return errors.Join(problems...)
}
