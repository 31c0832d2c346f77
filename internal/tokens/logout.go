package tokens

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// logoutLifetime is how long a logout token may be used (OpenID Connect
// Back-Channel Logout section 2.4 asks for at most two minutes).
const logoutLifetime = 2 * time.Minute

// logoutEvents is the `events` of a logout token.
var logoutEvents = json.RawMessage(`{"http://schemas.openid.net/event/backchannel-logout":{}}`)

// LogoutToken signs what tells a client that a session ended (OpenID Connect
// Back-Channel Logout section 2.4), with the algorithm of the client's ID
// tokens. Each call makes another token.
func (s *Service) LogoutToken(client authority.Client, account, session secret.ID) (string, error) {
	alg := jwk.Algorithm(client.IDTokenAlg)
	if alg == "" {
		alg = jwk.RS256
	}
	key, err := s.cfg.Keys.Signer(authority.RingID, alg)
	if err != nil {
		return "", err
	}
	now := s.cfg.Now()
	token, err := jwt.Sign(key, jwt.LogoutToken.Type, &jwt.Claims{
		Issuer: s.cfg.Issuer, Subject: account.String(), Audience: []string{client.ID}, ID: secret.NewID(now).String(),
		IssuedAt: now.Unix(), ExpiresAt: now.Add(logoutLifetime).Unix(), SessionID: session.String(), Events: logoutEvents,
	})
	if err != nil {
		return "", fmt.Errorf("tokens: sign logout token: %w", err)
	}
	return token, nil
}
