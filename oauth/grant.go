package oauth

// Grant types.
const (
	AuthorizationCode = "authorization_code"
	RefreshToken      = "refresh_token"
	ClientCredentials = "client_credentials"
)

// Client authentication methods of the token endpoint (RFC 7591 section 2).
const (
	ClientSecretBasic = "client_secret_basic"
	ClientSecretPost  = "client_secret_post"
	NoAuthentication  = "none"
)

// Values of token_type_hint (RFC 7009 section 2.1).
const (
	HintAccessToken  = "access_token"
	HintRefreshToken = "refresh_token"
)

// Token types: the one of RFC 6750, and the one of RFC 9449 for tokens that are
// bound to a key.
const (
	Bearer = "Bearer"
	DPoP   = "DPoP"
)

// Scope values with a meaning of their own (OpenID Connect Core sections 5.4
// and 11).
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopeOfflineAccess = "offline_access"
)
