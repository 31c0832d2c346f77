package clients

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/throttle"
	"github.com/jetonhq/jeton/oauth"
)

// Why an authentication was refused: for the operator's log only.
var (
	errUnknown     = errors.New("there is no such client")
	errDisabled    = errors.New("the client is disabled")
	errWrongMethod = errors.New("the client is registered with another authentication method")
	errWrongSecret = errors.New("the secret is wrong or has expired")
)

// refuseClient is the one answer to every failed authentication.
func refuseClient(cause error) error {
	return oauth.RefuseCause(oauth.InvalidClient, "client authentication failed", cause)
}

// Authenticate returns the client the credentials belong to. A public client
// is only identified: it sends its id alone, and one that sends a secret as
// well is refused. Every refusal is the same *oauth.Error (invalid_client)
// after the same work, with the cause for the log inside; too many refusals in
// a row are a *ThrottledError.
func (s *Service) Authenticate(ctx context.Context, given Credentials, addr netip.Addr) (authority.Client, error) {
	now := s.cfg.Now()
	claims := s.claims(given.ID, addr)
	guess := given.Method != oauth.NoAuthentication
	if guess {
		if err := s.attempts.Check(now, claims...); err != nil {
			s.alarm(ctx, now, given.ID, addr, claims)
			return authority.Client{}, err
		}
	}
	c, err := s.Lookup(ctx, given.ID)
	if errors.Is(err, authority.ErrNotFound) {
		c, err = s.nobody, nil
	}
	if err != nil {
		return authority.Client{}, err
	}
	if cause := s.judge(c, given, now); cause != nil {
		if guess {
			s.attempts.Fail(now, claims...)
		}
		return authority.Client{}, refuseClient(cause)
	}
	if guess {
		s.attempts.Clear(now, claims[0].Key)
	}
	return c, nil
}

// AuthenticateAgain is Authenticate on the record as it is in the store now, for
// steps that must not rest on a copy of it.
func (s *Service) AuthenticateAgain(ctx context.Context, given Credentials, addr netip.Addr) (authority.Client, error) {
	s.clients.forget()
	return s.Authenticate(ctx, given, addr)
}

// judge returns why the credentials are not the client's. It compares the
// secret in every case, before anything else decides.
func (s *Service) judge(c authority.Client, given Credentials, now time.Time) error {
	secretOK := SecretMatches(c, given.Secret, now)
	switch {
	case c.ID == "":
		return errUnknown
	case c.Disabled:
		return errDisabled
	case c.AuthMethod != given.Method:
		return errWrongMethod
	case c.Public() && given.Secret.Empty():
		return nil
	case !secretOK || given.Secret.Empty():
		return errWrongSecret
	}
	return nil
}

// SecretMatches compares a secret with all of the client's live ones, in
// constant time for each and without stopping at the one that matches.
func SecretMatches(c authority.Client, given secret.Value, now time.Time) bool {
	digest := secret.Digest(given.Reveal())
	matches := false
	for _, s := range c.Secrets {
		live := s.ExpiresAt.IsZero() || now.Before(s.ExpiresAt)
		equal := secret.Equal(digest[:], s.Digest[:])
		matches = matches || equal && live
	}
	return matches
}

// claims are what a failure counts under: the client from this network first,
// and the network. A client cannot be locked out from another network.
func (s *Service) claims(id string, addr netip.Addr) []throttle.Claim {
	l := s.cfg.Limits
	network := throttle.Network(addr)
	limit := throttle.Limit{Delay: l.Delay, MaxDelay: l.MaxDelay, Window: l.Window}
	pair, whole := limit, limit
	pair.Failures, whole.Failures = l.ClientFailures, l.AddressFailures
	return []throttle.Claim{{Key: "pair " + network + " " + id, Limit: pair}, {Key: "network " + network, Limit: whole}}
}
