package endpoint

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/oauth"
)

// jwks serves the published keys (RFC 7517, SPECS JW-30).
func (h *Handler) jwks(w http.ResponseWriter, r *http.Request) error {
	set, keep, err := h.cfg.Keys.Published()
	if errors.Is(err, keys.ErrStale) {
		return oauth.RefuseCause(oauth.TemporarilyUnavailable, "this node cannot read its keys", err)
	}
	if err != nil {
		return err
	}
	body, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("endpoint: key set: %w", err)
	}
	writeCached(w, r, "application/jwk-set+json", body, keep)
	return nil
}

// metadataMaxAge is how long the metadata may be kept.
const metadataMaxAge = 10 * time.Minute

// metadata serves the authorization server metadata (RFC 8414) and the OpenID
// provider configuration: one object at all the places where clients look.
func (h *Handler) metadata(w http.ResponseWriter, r *http.Request) error {
	body, err := json.Marshal(h.describe())
	if err != nil {
		return fmt.Errorf("endpoint: metadata: %w", err)
	}
	writeCached(w, r, "application/json", body, metadataMaxAge)
	return nil
}

// metadataPaths are the places of MD-1 and MCP-3, as paths on the host.
func (h *Handler) metadataPaths() []string {
	paths := []string{
		oauth.WellKnownServer + h.path,
		oauth.WellKnownOpenID + h.path,
		h.path + oauth.WellKnownOpenID,
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func (h *Handler) describe() oauth.Metadata {
	base := strings.TrimSuffix(h.cfg.Issuer, "/")
	return oauth.Metadata{
		Issuer:                     h.cfg.Issuer,
		AuthorizationEndpoint:      base + "/authorize",
		TokenEndpoint:              base + "/token",
		JWKSURI:                    base + "/jwks",
		UserinfoEndpoint:           base + "/userinfo",
		RevocationEndpoint:         base + "/revoke",
		IntrospectionEndpoint:      base + "/introspect",
		EndSessionEndpoint:         base + "/end_session",
		BackchannelLogoutSupported: true, BackchannelLogoutSessionSupported: true, // Back-Channel Logout section 2.1
		ScopesSupported:                  []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess},
		ResponseTypesSupported:           []string{"code"},
		ResponseModesSupported:           []string{"query", "form_post"},
		GrantTypesSupported:              []string{oauth.AuthorizationCode, oauth.RefreshToken, oauth.ClientCredentials},
		SubjectTypesSupported:            []string{"public"},
		IDTokenSigningAlgValuesSupported: h.cfg.Keys.Algorithms(),
		TokenEndpointAuthMethodsSupported: []string{
			oauth.ClientSecretBasic, oauth.ClientSecretPost, oauth.NoAuthentication},
		RevocationEndpointAuthMethodsSupported: []string{
			oauth.ClientSecretBasic, oauth.ClientSecretPost, oauth.NoAuthentication},
		IntrospectionEndpointAuthMethodsSupported:  []string{oauth.ClientSecretBasic, oauth.ClientSecretPost},
		CodeChallengeMethodsSupported:              []string{oauth.S256},
		AuthorizationResponseIssParameterSupported: true,
		DPoPSigningAlgValuesSupported:              h.proofAlgorithms(),
		PromptValuesSupported:                      []string{"none", "login", "consent", "select_account"},
		ACRValuesSupported:                         h.cfg.ACRValues,
		ClaimsSupported: []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid",
			"name", "preferred_username", "updated_at", "email", "email_verified"},
	}
}

// writeCached serves a public document with a validator.
func writeCached(w http.ResponseWriter, r *http.Request, kind string, body []byte, maxAge time.Duration) {
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	header := w.Header()
	header.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(maxAge.Seconds())))
	header.Set("ETag", etag)
	if noneMatches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", kind)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// noneMatches reports whether the caller has the document already. Validators
// are compared weakly (RFC 9110 section 13.1.2): a proxy that compresses makes
// them weak.
func noneMatches(given []string, etag string) bool {
	for _, value := range given {
		for tag := range strings.SplitSeq(value, ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}
