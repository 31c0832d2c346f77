package flow

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/jetonhq/jeton/internal/authority"
)

// Logout is a checked request to sign out (OpenID Connect RP-Initiated Logout
// section 2).
type Logout struct {
	// Now says that the hint names the current session, so the person need not
	// be asked.
	Now bool
	// Client asked; its ID is empty when nobody said who asks.
	Client authority.Client
	// Return is where to go afterwards, state included; "" means our own page.
	Return string
	// RedirectURI and State are what Return was made of.
	RedirectURI string
	State       string
}

// Logout checks the query of a request to sign out. After a *Problem the person
// is still offered to sign out, but is sent nowhere (section 4).
func (f *Flow) Logout(ctx context.Context, query string, b Browser) (Logout, error) {
	p, err := parseQuery(query)
	if err != nil {
		return Logout{}, err
	}
	if p.anyRepeated() {
		return Logout{}, badLogout("It says something twice.", nil)
	}
	var out Logout
	clientID := p.get("client_id")
	if token := p.get("id_token_hint"); token != "" {
		hint, err := f.cfg.Hints.IDTokenHint(ctx, token)
		if err != nil {
			return Logout{}, badLogout("It does not prove which app it came from.", err)
		}
		if clientID != "" && clientID != hint.ClientID {
			return Logout{}, badLogout("It names two different apps.", nil)
		}
		clientID = hint.ClientID
		// A hint of another session, even of the same person, is no proof that this
		// one is meant.
		out.Now = b.SignedIn() && hint.SessionID == b.Session.ID.String() && hint.Subject == b.Account.Subject()
	}
	if clientID != "" {
		out.Client, err = f.cfg.Clients.Lookup(ctx, clientID)
		if errors.Is(err, authority.ErrNotFound) {
			return Logout{}, badLogout("The app it came from is not registered here.", nil)
		}
		if err != nil {
			return Logout{}, err
		}
	}
	if uri := p.get("post_logout_redirect_uri"); uri != "" {
		if clientID == "" {
			return Logout{}, badLogout("It asks to return to an app, but does not say which.", nil)
		}
		if !slices.Contains(out.Client.PostLogoutRedirectURIs, uri) {
			return Logout{}, badLogout("The place it wants to return to is not registered for the app.", nil)
		}
		out.RedirectURI, out.State = uri, p.get("state")
		out.Return = withState(uri, out.State)
	}
	return out, nil
}

// Query is the part of the request that a confirmation needs to come to the
// same end, without the hint.
func (l Logout) Query() string {
	v := url.Values{}
	for name, value := range map[string]string{
		"client_id":                l.Client.ID,
		"post_logout_redirect_uri": l.RedirectURI,
		"state":                    l.State,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v.Encode()
}

func withState(uri, state string) string {
	if state == "" {
		return uri
	}
	return appendQuery(uri, []Param{{"state", state}})
}

func badLogout(text string, cause error) error {
	return &Problem{Status: http.StatusBadRequest, Title: "This sign-out link does not work", Text: text, Cause: cause}
}

// App is the name for people of the client that asked, or "".
func (l Logout) App() string {
	if l.Client.Name != "" {
		return l.Client.Name
	}
	return l.Client.ID
}
