package clients

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// Credentials are what a request says about its client.
type Credentials struct {
	Method string // oauth.ClientSecretBasic, ClientSecretPost, or NoAuthentication when there is only an id
	ID     string
	Secret secret.Value
}

var (
	errMalformedBasic = errors.New("the Basic credentials are malformed")
	errUnknownScheme  = errors.New("the Authorization header has another scheme than Basic")
	errAssertion      = errors.New("client assertions are not supported")
	errTwoIDs         = errors.New("client_id differs from the Basic user name")
	errNoClient       = errors.New("no client_id")
)

// ParseCredentials reads a client's credentials (OAuth 2.1 section 2.4) from
// the values of the Authorization header and the form of the request's body.
// The form must be that of the body alone: a secret in a URL is not looked at.
// Refusals are *oauth.Error values: invalid_request for a repeated parameter or
// more than one method, invalid_client for everything else.
func ParseCredentials(authorization []string, form url.Values) (Credentials, error) {
	var fields [3]string
	for i, name := range []string{"client_id", "client_secret", "client_assertion"} {
		switch values := form[name]; len(values) {
		case 0:
		case 1:
			fields[i] = values[0] // an empty value counts as absent: SPECS GEN-2
		default:
			return Credentials{}, oauth.Refuse(oauth.InvalidRequest, "a parameter is repeated")
		}
	}
	id, post, assertion := fields[0], fields[1], fields[2]
	header := ""
	switch len(authorization) {
	case 0:
	case 1:
		header = authorization[0]
	default:
		return Credentials{}, oauth.Refuse(oauth.InvalidRequest, "more than one Authorization header")
	}
	methods := 0
	for _, used := range []bool{header != "", post != "", assertion != ""} {
		if used {
			methods++
		}
	}
	switch {
	case methods > 1: // OAuth 2.1 section 2.4
		return Credentials{}, oauth.Refuse(oauth.InvalidRequest, "more than one client authentication method")
	case header != "":
		return parseBasic(header, id)
	case assertion != "":
		return Credentials{}, refuseClient(errAssertion)
	case id == "":
		return Credentials{}, refuseClient(errNoClient)
	case post != "":
		return Credentials{Method: oauth.ClientSecretPost, ID: id, Secret: secret.New(post)}, nil
	}
	return Credentials{Method: oauth.NoAuthentication, ID: id}, nil
}

// parseBasic reads HTTP Basic credentials whose halves are form-encoded before
// they are joined (OAuth 2.1 section 2.4.1, RFC 6749 section 2.3.1).
func parseBasic(header, formID string) (Credentials, error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return Credentials{}, refuseClient(errUnknownScheme)
	}
	encoded = strings.Trim(encoded, " ")
	joined, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") { // the decoder skips line ends
		return Credentials{}, refuseClient(errMalformedBasic)
	}
	first, second, found := strings.Cut(string(joined), ":")
	id, idErr := url.QueryUnescape(first)
	password, passwordErr := url.QueryUnescape(second)
	if !found || idErr != nil || passwordErr != nil || id == "" {
		return Credentials{}, refuseClient(errMalformedBasic)
	}
	if formID != "" && formID != id {
		return Credentials{}, refuseClient(errTwoIDs)
	}
	return Credentials{Method: oauth.ClientSecretBasic, ID: id, Secret: secret.New(password)}, nil
}
