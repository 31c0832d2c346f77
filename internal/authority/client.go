package authority

import (
	"slices"
	"time"
)

// Client is an app that asks for tokens, or a resource's own identity towards
// the authority.
type Client struct {
	ID                     string
	Name                   string
	AuthMethod             string         // oauth.ClientSecretBasic, ClientSecretPost or NoAuthentication
	Secrets                []ClientSecret // newest first, at most two live
	GrantTypes             []string
	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	Scope                  []string // what it may ask for
	Audience               string   // `aud` of its tokens; "" means the authority's default
	FirstParty             bool     // consent page is skipped
	Native                 bool     // application_type native: http://localhost redirects are port-flexible too
	WithoutPKCE            bool     // may leave out PKCE when it sends a nonce (confidential OIDC clients only)
	IDTokenAlg             string   // "" means RS256

	AccessLifetime  time.Duration // 0 means the authority's default
	RefreshIdle     time.Duration // 0 means the authority's default
	RefreshAbsolute time.Duration // 0 means the authority's default
	RefreshPolicy   RefreshPolicy // "" means standard
	RevokeShared    bool          // end a grant whose refresh token two parties use in turn; otherwise only notify
	IP              IPMode        // "" means flag
	IPRefresh       bool          // IPEnforce goes for refresh tokens too: whoever moves signs in again
	DPoPBound       bool          // gets only tokens that are bound to a key (dpop_bound_access_tokens, RFC 9449 section 5.2)

	// Where the client is told of each session that ends in which it got tokens,
	// and whether that must name the session (OpenID Connect Back-Channel Logout).
	BackchannelLogoutURI             string
	BackchannelLogoutSessionRequired bool

	Mint *MintPolicy // nil: it mints nothing, and restricts no tokens

	Disabled  bool
	Version   int64 // raised by each update; UpdateClient compares it
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ClientSecret is the digest of one 256-bit client secret.
type ClientSecret struct {
	Digest    [32]byte // SHA-256
	CreatedAt time.Time
	ExpiresAt time.Time // zero: until it is rotated out
}

// Public reports whether the client cannot keep a secret.
func (c Client) Public() bool { return c.AuthMethod == "none" }

// AllowsGrant reports whether the client may use the grant type.
func (c Client) AllowsGrant(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// RefreshPolicy decides how the predecessor of the current refresh token is
// answered (DESIGN 4.2).
type RefreshPolicy string

const (
	RefreshStandard RefreshPolicy = "standard" // the predecessor works until its successor is used
	RefreshStrict   RefreshPolicy = "strict"   // the predecessor works for 10 s
	RefreshTolerant RefreshPolicy = "tolerant" // older ones work for 60 s too: programs that share a token file
	RefreshBound    RefreshPolicy = "bound"    // no rotation: confidential clients (FAPI 2.0)
)

// Resource is an API that accepts tokens. It talks to the authority as the
// client ClientID.
type Resource struct {
	Audience  string // unique: the `aud` of tokens for it
	ClientID  string
	Name      string
	Scope     []string // scopes it understands
	Ring      string   // the ring of shared secrets that signs tokens for it (HS256); empty: the access ring
	CreatedAt time.Time
}
