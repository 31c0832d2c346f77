package admin

import "time"

// ClientSpec is what an operator decides about a client: an app that asks for
// tokens, or a resource's own identity.
type ClientSpec struct {
	ID                     string   `json:"id"`                    // "" lets the authority choose one
	Name                   string   `json:"name,omitempty"`        // shown on the consent page
	AuthMethod             string   `json:"auth_method,omitempty"` // client_secret_basic (default), client_secret_post or none
	GrantTypes             []string `json:"grant_types,omitempty"`
	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	BackchannelLogoutURI   string   `json:"backchannel_logout_uri,omitempty"` // where it is told of sessions that ended
	// The logout token must name the session. It always does; this is what
	// the client registered.
	BackchannelLogoutSessionRequired bool     `json:"backchannel_logout_session_required,omitempty"`
	Scope                            []string `json:"scope,omitempty"`        // what it may ask for
	Audience                         string   `json:"audience,omitempty"`     // `aud` of its access tokens; "" means the authority's default
	FirstParty                       bool     `json:"first_party,omitempty"`  // no consent page
	Native                           bool     `json:"native,omitempty"`       // an installed app
	WithoutPKCE                      bool     `json:"without_pkce,omitempty"` // confidential OpenID Connect clients that send a nonce instead
	IDTokenAlg                       string   `json:"id_token_alg,omitempty"` // RS256 (default), ES256 or Ed25519
	AccessLifetime                   Duration `json:"access_lifetime,omitzero"`
	RefreshIdle                      Duration `json:"refresh_idle,omitzero"`
	RefreshAbsolute                  Duration `json:"refresh_absolute,omitzero"`
	RefreshPolicy                    string   `json:"refresh_policy,omitempty"`           // standard (default), strict, tolerant or bound
	RevokeShared                     bool     `json:"revoke_shared,omitempty"`            // end a grant whose refresh token two parties use in turn
	IP                               string   `json:"ip,omitempty"`                       // off, flag (default) or enforce, when its tokens come from another network
	IPRefresh                        bool     `json:"ip_refresh,omitempty"`               // with enforce: refreshing from another network is refused too
	DPoPBound                        bool     `json:"dpop_bound_access_tokens,omitempty"` // it gets only tokens that are bound to a key (RFC 9449 section 5.2)
	Disabled                         bool     `json:"disabled,omitempty"`

	Mint *MintPolicy `json:"mint,omitempty"` // what it may mint and restrict; none: nothing
}

// NewClient is a client to create. It may hold a secret: never log or format one.
type NewClient struct {
	ClientSpec
	Secret string `json:"secret,omitempty"` // none: a client that needs one gets a random one
}

// ClientRecord is a client as the authority knows it.
type ClientRecord struct {
	ClientSpec
	Secrets   []ClientSecret `json:"secrets,omitempty"` // newest first
	Version   int64          `json:"version"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
}

// ClientSecret says when a secret was made and when it stops working. The
// authority keeps only its digest.
type ClientSecret struct {
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: until it is rotated out
}

// ClientUpdate replaces a client's spec, unless somebody else did since it was
// read.
type ClientUpdate struct {
	ClientSpec
	Version int64 `json:"version"` // of the ClientRecord that was read
}

// IssuedClient is the answer that shows a new secret, once. Never log or format
// one.
type IssuedClient struct {
	Client ClientRecord `json:"client"`
	Secret string       `json:"secret,omitempty"` // none for public clients, and when the caller brought one
}

// ResourceSpec is an API that accepts tokens.
type ResourceSpec struct {
	Audience string   `json:"audience"` // the `aud` of tokens for it
	Name     string   `json:"name,omitempty"`
	ClientID string   `json:"client_id,omitempty"` // the client as which it introspects and follows the feed
	Scope    []string `json:"scope,omitempty"`     // scopes it understands
	Signing  Signing  `json:"signing,omitzero"`
}

// Signing says what signs the tokens for a resource.
type Signing struct {
	// Ring of shared secrets, made if there is none of this name: tokens are
	// signed with HS256, and every server of the resource holds the secrets. Empty:
	// the authority's own keys, which it publishes.
	Ring string `json:"ring,omitempty"`
}

// String says what signs.
func (s Signing) String() string {
	if s.Ring == "" {
		return ""
	}
	return "ring " + s.Ring
}

// NewResource is a resource to register. With CreateClient its client is made
// too, unless it exists; without a ClientID one is chosen.
type NewResource struct {
	ResourceSpec
	CreateClient bool `json:"create_client,omitempty"`
}

// IssuedResource is the answer that shows the secret of a client made for the
// resource, once. Never log or format one.
type IssuedResource struct {
	Resource Resource `json:"resource"`
	Secret   string   `json:"secret,omitempty"`
}

// Resource is an API as the authority knows it.
type Resource struct {
	ResourceSpec
	CreatedAt time.Time `json:"created_at"`
}

// SecretRotation says what becomes of a client's former secrets. The zero value
// lets the newest of them work until the next rotation.
type SecretRotation struct {
	OldUntil    time.Time `json:"old_until,omitzero"`    // when it ends at the latest
	Compromised bool      `json:"compromised,omitempty"` // all of them end now, and all grants of the client with them
}
