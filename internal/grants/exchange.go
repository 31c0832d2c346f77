package grants

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

// Request is a decoded token request (OAuth 2.1 section 3.2.2). An absent
// parameter and one that was sent empty are the same, "" (SPECS GEN-2).
type Request struct {
	Credentials  clients.Credentials
	GrantType    string
	Code         string
	RedirectURI  string
	CodeVerifier string
	RefreshToken string
	Scope        string
	Narrow       tokens.Restriction // of a client's own token
	Proofs       []string           // values of the DPoP headers
	Addr         netip.Addr
	Context      authority.Context
}

// Mint is the part of internal/tokens that grants call.
type Mint interface {
	RedeemCode(ctx context.Context, code authority.Code, client authority.Client, holder tokens.Holder, from authority.Context) (tokens.Issued, error)
	Refresh(ctx context.Context, presented string, client authority.Client, holder tokens.Holder, want oauth.Scope, from authority.Context) (tokens.Issued, error)
	ForClient(ctx context.Context, r tokens.ClientRequest) (tokens.Issued, error)
}

// Config holds the parts of a Service.
type Config struct {
	Clients *clients.Service
	Codes   authority.GrantStore
	Mint    Mint
	Revoker authority.Revoker
	Proofs  *Proofs
	Now     func() time.Time
	Logger  *slog.Logger

	DefaultAudience string // of clients that name none
	TokenURL        string // of the token endpoint: what proofs are made for
}

// Service answers token requests.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg}
}

// Exchange answers a token request. Refusals are *oauth.Error.
func (s *Service) Exchange(ctx context.Context, r Request) (tokens.Issued, error) {
	client, err := s.cfg.Clients.Authenticate(ctx, r.Credentials, r.Addr)
	if err != nil {
		return tokens.Issued{}, err
	}
	// TOK-5
	var exchange func(context.Context, Request, authority.Client, tokens.Holder) (tokens.Issued, error)
	switch r.GrantType {
	case "":
		return tokens.Issued{}, oauth.Refuse(oauth.InvalidRequest, "grant_type is missing")
	case oauth.AuthorizationCode:
		exchange = s.code
	case oauth.RefreshToken:
		exchange = s.refresh
	case oauth.ClientCredentials:
		exchange = s.clientCredentials
	default:
		return tokens.Issued{}, oauth.Refuse(oauth.UnsupportedGrantType, "this grant type is not offered")
	}
	if !client.AllowsGrant(r.GrantType) {
		return tokens.Issued{}, oauth.Refuse(oauth.UnauthorizedClient, "the client may not use this grant type")
	}
	if err := mayNarrow(r, client); err != nil {
		return tokens.Issued{}, err
	}
	holder, err := s.holder(r, client)
	if err != nil {
		return tokens.Issued{}, err
	}
	return exchange(ctx, r, client, holder)
}
