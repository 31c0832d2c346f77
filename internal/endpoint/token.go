package endpoint

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/grants"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

// token is the token endpoint (OAuth 2.1 section 3.2).
func (h *Handler) token(w http.ResponseWriter, r *http.Request) error {
	req, err := h.decodeToken(w, r)
	if err != nil {
		return err
	}
	issued, err := h.cfg.Grants.Exchange(r.Context(), req)
	if err != nil {
		return err
	}
	if issued.TokenType == oauth.DPoP {
		h.giveNonce(w)
	}
	return writeJSON(w, oauth.TokenResponse{
		AccessToken: issued.AccessToken.Reveal(), TokenType: issued.TokenType, ExpiresIn: issued.ExpiresIn,
		Scope: issued.Scope.String(), RefreshToken: issued.RefreshToken.Reveal(), IDToken: issued.IDToken.Reveal(),
	})
}

func (h *Handler) decodeToken(w http.ResponseWriter, r *http.Request) (grants.Request, error) {
	form, err := readForm(w, r)
	if err != nil {
		return grants.Request{}, err
	}
	credentials, err := clients.ParseCredentials(r.Header.Values("Authorization"), form)
	if err != nil {
		return grants.Request{}, err
	}
	narrow, err := decodeRestriction(form)
	if err != nil {
		return grants.Request{}, err
	}
	addr, from := h.cfg.Caller(r)
	return grants.Request{
		Credentials: credentials, GrantType: form.Get("grant_type"), Code: form.Get("code"),
		RedirectURI: form.Get("redirect_uri"), CodeVerifier: form.Get("code_verifier"),
		RefreshToken: form.Get("refresh_token"), Scope: form.Get("scope"), Narrow: narrow,
		Proofs: r.Header.Values("DPoP"), Addr: addr, Context: from,
	}, nil
}

// decodeRestriction reads what the token is to be narrowed to: url, url_hash
// (S256), url_method and uses.
func decodeRestriction(form url.Values) (tokens.Restriction, error) {
	r := tokens.Restriction{URL: form.Get("url"), Method: form.Get("url_method")}
	switch form.Get("url_hash") {
	case "":
	case "S256":
		r.HashURL = true
	default:
		return r, oauth.Refuse(oauth.InvalidRequest, "url_hash must be S256")
	}
	if text := form.Get("uses"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return r, oauth.Refuse(oauth.InvalidRequest, "uses must be 1 to 10000")
		}
		r.Uses = n
	}
	return r, nil
}
