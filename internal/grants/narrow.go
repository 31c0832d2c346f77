package grants

import (
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/oauth"
)

// mayNarrow decides whether a client gets a token that is good for one URL, one
// method or a number of uses. What cannot be granted is refused: a restriction
// that is dropped in silence would be a token that does more than its owner knows.
func mayNarrow(r Request, client authority.Client) error {
	switch problem := r.Narrow.Problem(); {
	case !r.Narrow.Narrows():
		return nil
	case client.Mint == nil:
		return oauth.Refuse(oauth.UnauthorizedClient, "the client has no minting policy, so it gets no restricted tokens")
	case r.GrantType != oauth.ClientCredentials:
		return oauth.Refuse(oauth.InvalidRequest, "restricted tokens come from client_credentials and from the mint endpoint")
	case problem != "":
		return oauth.Refuse(oauth.InvalidRequest, problem)
	}
	return nil
}
