package flow

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

// MaxQuery is the longest query string of a request that is read, in bytes.
const MaxQuery = 16 << 10

// Request is an authorization request whose every parameter has been checked.
type Request struct {
	Client      authority.Client
	RedirectURI string
	Mode        Mode
	State       string
	Scope       oauth.Scope // what was asked for and is registered
	Nonce       string
	Challenge   string // "" only for clients that may leave PKCE out
	Thumbprint  string // dpop_jkt: of the key that alone may redeem the code; "" for any
	Prompt      Prompt
	MaxAge      *time.Duration
	ACR         []string // the sign-in has to be one of these; empty: any
	Hint        *tokens.Hint
	LoginHint   string
}

// Prompt is the set of prompt values that mean something to us (OpenID Connect
// Core section 3.1.2.1).
type Prompt struct{ None, Login, Consent, SelectAccount bool }

// parameters are those of a request. A parameter without a value was not sent
// (OAuth 2.1 section 3.1).
type parameters map[string][]string

func parseQuery(query string) (parameters, error) {
	if len(query) > MaxQuery {
		return nil, badLink("It is longer than any request we accept.")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, badLink("It is damaged: part of it cannot be read.")
	}
	p := parameters{}
	for name, list := range values {
		list = slices.DeleteFunc(list, func(v string) bool { return v == "" })
		if len(list) > 0 {
			p[name] = list
		}
	}
	return p, nil
}

func (p parameters) get(name string) string {
	if len(p[name]) == 0 {
		return ""
	}
	return p[name][0]
}

func (p parameters) repeated(name string) bool { return len(p[name]) > 1 }

// anyRepeated reports whether a parameter was sent twice that may be sent only
// once. RFC 8707 section 2 allows several resources.
func (p parameters) anyRepeated() bool {
	for name, list := range p {
		if len(list) > 1 && name != "resource" {
			return true
		}
	}
	return false
}

// read checks the query of an authorization request, in the order that decides
// who gets to see a fault. A *Problem is for a page; a Respond (with ok false)
// is for the client.
func (f *Flow) read(ctx context.Context, query string) (req *Request, refusal *Respond, err error) {
	p, err := parseQuery(query)
	if err != nil {
		return nil, nil, err
	}
	req = &Request{}
	if req.Client, err = f.client(ctx, p); err != nil {
		return nil, nil, err
	}
	if req.RedirectURI, err = f.redirectURI(req.Client, p); err != nil {
		return nil, nil, err
	}
	// Without a mode we speak there is no way to deliver an error either
	// (OAuth 2.0 Multiple Response Type Encoding Practices section 2.1).
	switch {
	case p.repeated("response_mode"):
		return nil, nil, badLink("It says twice how the app wants its answer.")
	case p.get("response_mode") == "", p.get("response_mode") == string(ModeQuery):
		req.Mode = ModeQuery
	case p.get("response_mode") == string(ModeFormPost):
		req.Mode = ModeFormPost
	default:
		return nil, nil, badLink("The app wants its answer in a way that is not supported.")
	}
	if req.Mode == ModeFormPost && !isWeb(req.RedirectURI) {
		return nil, nil, badLink("The app wants its answer as a form, which only a web address can receive.")
	}
	if !p.repeated("state") {
		req.State = p.get("state")
	}
	if err := f.parse(ctx, req, p); err != nil {
		return req, f.refuse(req, err), nil
	}
	return req, nil, nil
}

func (f *Flow) client(ctx context.Context, p parameters) (authority.Client, error) {
	id := p.get("client_id")
	if id == "" {
		return authority.Client{}, badLink("It does not say which app it is for.")
	}
	if p.repeated("client_id") {
		return authority.Client{}, badLink("It names more than one app.")
	}
	c, err := f.cfg.Clients.Lookup(ctx, id)
	if errors.Is(err, authority.ErrNotFound) || err == nil && c.Disabled {
		return authority.Client{}, badLink("The app it is for is not registered here.")
	}
	return c, err
}

func (f *Flow) redirectURI(c authority.Client, p parameters) (string, error) {
	if p.repeated("redirect_uri") {
		return "", badLink("It names more than one place to return to.")
	}
	uri := p.get("redirect_uri")
	if uri == "" {
		// OpenID Connect Core section 3.1.2.1 always requires it; OAuth 2.1 section
		// 4.1.1 unless exactly one is registered.
		openid := slices.ContainsFunc(p["scope"], func(s string) bool {
			return slices.Contains(strings.Fields(s), oauth.ScopeOpenID)
		})
		if openid || len(c.RedirectURIs) != 1 {
			return "", badLink("It does not say where to return to.")
		}
		return c.RedirectURIs[0], nil
	}
	if !clients.MatchRedirect(c, uri) {
		return "", badLink("The place it wants to return to is not registered for the app.")
	}
	return uri, nil
}

// parse checks what may be reported to the client.
func (f *Flow) parse(ctx context.Context, req *Request, p parameters) error {
	if p.anyRepeated() {
		return oauth.Refuse(oauth.InvalidRequest, "a parameter is repeated")
	}
	if !visible(req.State) {
		// It could not come back unchanged in every response mode.
		req.State = ""
		return oauth.Refuse(oauth.InvalidRequest, "state has characters outside printable ASCII")
	}
	switch {
	case p.get("request") != "":
		return oauth.Refuse(oauth.RequestNotSupported, "request objects are not supported")
	case p.get("request_uri") != "":
		return oauth.Refuse(oauth.RequestURINotSupported, "request_uri is not supported")
	case p.get("registration") != "":
		return oauth.Refuse(oauth.RegistrationNotSupported, "the registration parameter is not supported")
	}
	switch p.get("response_type") {
	case "code":
	case "":
		return oauth.Refuse(oauth.InvalidRequest, "response_type is missing")
	default:
		return oauth.Refuse(oauth.UnsupportedResponseType, "only response_type code is supported")
	}
	if !req.Client.AllowsGrant(oauth.AuthorizationCode) {
		return oauth.Refuse(oauth.UnauthorizedClient, "the client may not use this grant")
	}
	scope, ok := oauth.ParseScope(p.get("scope"))
	req.Nonce = p.get("nonce")
	if err := req.parseChallenge(p, ok && scope.Has(oauth.ScopeOpenID)); err != nil {
		return err
	}
	// RFC 9449 section 10. A thumbprint that was misspelt binds to no key.
	if req.Thumbprint = p.get("dpop_jkt"); req.Thumbprint != "" && !jwt.ValidThumbprint(req.Thumbprint) {
		return oauth.Refuse(oauth.InvalidRequest, "dpop_jkt is not an SHA-256 thumbprint of a key")
	}
	if !ok {
		return oauth.Refuse(oauth.InvalidScope, "scope is malformed")
	}
	req.Scope = scope.Only(req.Client.Scope)
	if !req.Client.AllowsGrant(oauth.RefreshToken) {
		req.Scope = req.Scope.Without(oauth.ScopeOfflineAccess)
	}
	if len(req.Scope) == 0 {
		return oauth.Refuse(oauth.InvalidScope, "no scope that the client is registered for was asked for")
	}
	return f.parseOpenID(ctx, req, p)
}

// parseChallenge enforces PKCE with S256 (OAuth 2.1 section 4.1.1; RFC 7636
// section 4.3: a missing method means plain).
func (r *Request) parseChallenge(p parameters, openid bool) error {
	r.Challenge = p.get("code_challenge")
	method := p.get("code_challenge_method")
	if r.Challenge == "" && method == "" {
		// OAuth 2.1 section 7.5.1: a confidential OpenID Connect client may
		// rely on nonce instead, here only where an operator said so.
		if r.Client.WithoutPKCE && !r.Client.Public() && openid && r.Nonce != "" {
			return nil
		}
		return oauth.Refuse(oauth.InvalidRequest, "code_challenge is missing")
	}
	if method != oauth.S256 {
		return oauth.Refuse(oauth.InvalidRequest, "code_challenge_method must be S256")
	}
	if !oauth.ValidChallenge(r.Challenge) {
		return oauth.Refuse(oauth.InvalidRequest, "code_challenge is not an S256 challenge")
	}
	return nil
}

// parseOpenID reads the parameters of OpenID Connect Core section 3.1.2.1.
// display, ui_locales and claims_locales must not fail and are not acted upon
// (section 15.1).
func (f *Flow) parseOpenID(ctx context.Context, req *Request, p parameters) error {
	prompts := strings.Fields(p.get("prompt"))
	for _, v := range prompts {
		switch v {
		case "none":
			req.Prompt.None = true
		case "login":
			req.Prompt.Login = true
		case "consent":
			req.Prompt.Consent = true
		case "select_account":
			req.Prompt.SelectAccount = true
		}
	}
	if req.Prompt.None && len(prompts) > 1 {
		return oauth.Refuse(oauth.InvalidRequest, "prompt none excludes every other value")
	}
	if s := p.get("max_age"); s != "" {
		seconds, err := strconv.ParseUint(s, 10, 31)
		if errors.Is(err, strconv.ErrRange) {
			seconds, err = 1<<31, nil // longer than any session
		}
		if err != nil {
			return oauth.Refuse(oauth.InvalidRequest, "max_age is not a number of seconds")
		}
		age := time.Duration(seconds) * time.Second // #nosec G115 -- below 2^32
		req.MaxAge = &age
	}
	if values := strings.Fields(p.get("acr_values")); len(values) > 0 {
		// RFC 9470 section 5: better an error than a sign-in that the API refuses again.
		req.ACR = slices.DeleteFunc(values, func(v string) bool { return !slices.Contains(f.cfg.ACRValues, v) })
		if len(req.ACR) == 0 {
			return errUnmet
		}
	}
	if token := p.get("id_token_hint"); token != "" {
		hint, err := f.cfg.Hints.IDTokenHint(ctx, token)
		if err != nil {
			return oauth.RefuseCause(oauth.InvalidRequest, "id_token_hint is not an ID token of ours", err)
		}
		if hint.ClientID != req.Client.ID {
			return oauth.Refuse(oauth.InvalidRequest, "id_token_hint was made for another client")
		}
		req.Hint = &hint
	}
	if s := p.get("login_hint"); len(s) <= maxLoginHint {
		req.LoginHint = s
	}
	return nil
}

// errUnmet says that nobody can sign in in the way the client asks for.
var errUnmet = oauth.Refuse(oauth.UnmetAuthenticationRequirements, "nobody can sign in here in one of the ways in acr_values")

// maxLoginHint is longer than any login or mail address.
const maxLoginHint = 320

// refuse turns an error into the response that tells the client. Internal
// faults become server_error, or temporarily_unavailable under load, because
// the status of a page cannot reach the client (OAuth 2.1 section 4.1.2.1).
func (f *Flow) refuse(req *Request, err error) *Respond {
	r := f.respond(req)
	r.Cause = err
	if e, ok := errors.AsType[*oauth.Error](err); ok {
		r.Error, r.Description = e.Code, e.Description
		return r
	}
	r.Error = oauth.ServerError
	if errors.Is(err, authority.ErrBusy) {
		r.Error = oauth.TemporarilyUnavailable
	}
	return r
}

func (f *Flow) respond(req *Request) *Respond {
	return &Respond{
		ClientID:    req.Client.ID,
		RedirectURI: req.RedirectURI,
		Mode:        req.Mode,
		State:       req.State,
		Issuer:      f.cfg.Issuer,
	}
}

// visible reports whether s is printable ASCII, the syntax of state (OAuth 2.1
// appendix A.5).
func visible(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
