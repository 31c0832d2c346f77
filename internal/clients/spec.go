package clients

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// Spec is what a client is registered with.
type Spec struct {
	ID                               string // default on Create: one is made
	Name                             string // default: the id
	AuthMethod                       string // default client_secret_basic
	GrantTypes                       []string
	RedirectURIs                     []string
	PostLogoutRedirectURIs           []string
	BackchannelLogoutURI             string // where it is told of sessions that ended
	BackchannelLogoutSessionRequired bool
	Scope                            []string
	Audience                         string
	FirstParty                       bool
	Native                           bool
	WithoutPKCE                      bool
	IDTokenAlg                       string
	AccessLifetime                   time.Duration
	RefreshIdle                      time.Duration
	RefreshAbsolute                  time.Duration
	RefreshPolicy                    authority.RefreshPolicy
	RevokeShared                     bool
	IP                               authority.IPMode // default flag
	IPRefresh                        bool
	DPoPBound                        bool // gets only tokens that are bound to a key
	Disabled                         bool
	Mint                             *authority.MintPolicy // default: none

	// Secret is the first secret of a confidential client, for Create only; by
	// default one is made. At least 32 characters.
	Secret secret.Value
	// Version, for Update only, refuses with authority.ErrConflict when the
	// record has another one by now; 0 means any.
	Version int64
}

// SpecOf is the specification a client has now. It can be changed and given to Update.
func SpecOf(c authority.Client) Spec {
	return Spec{
		ID: c.ID, Name: c.Name, AuthMethod: c.AuthMethod, GrantTypes: slices.Clone(c.GrantTypes),
		RedirectURIs: slices.Clone(c.RedirectURIs), PostLogoutRedirectURIs: slices.Clone(c.PostLogoutRedirectURIs),
		BackchannelLogoutURI: c.BackchannelLogoutURI, BackchannelLogoutSessionRequired: c.BackchannelLogoutSessionRequired,
		Scope: slices.Clone(c.Scope), Audience: c.Audience, FirstParty: c.FirstParty, Native: c.Native,
		WithoutPKCE: c.WithoutPKCE, IDTokenAlg: c.IDTokenAlg, AccessLifetime: c.AccessLifetime,
		RefreshIdle: c.RefreshIdle, RefreshAbsolute: c.RefreshAbsolute, RefreshPolicy: c.RefreshPolicy,
		RevokeShared: c.RevokeShared, IP: c.IP, IPRefresh: c.IPRefresh, DPoPBound: c.DPoPBound, Disabled: c.Disabled, Mint: c.Mint, Version: c.Version,
	}
}

// apply writes the specification into the client's record.
func (p Spec) apply(c authority.Client) authority.Client {
	c.ID, c.Name, c.AuthMethod, c.GrantTypes = p.ID, p.Name, p.AuthMethod, slices.Clone(p.GrantTypes)
	c.RedirectURIs, c.PostLogoutRedirectURIs = slices.Clone(p.RedirectURIs), slices.Clone(p.PostLogoutRedirectURIs)
	c.BackchannelLogoutURI, c.BackchannelLogoutSessionRequired = p.BackchannelLogoutURI, p.BackchannelLogoutSessionRequired
	c.Scope, c.Audience, c.FirstParty, c.Native = slices.Clone(p.Scope), p.Audience, p.FirstParty, p.Native
	c.WithoutPKCE, c.IDTokenAlg, c.AccessLifetime = p.WithoutPKCE, p.IDTokenAlg, p.AccessLifetime
	c.RefreshIdle, c.RefreshAbsolute, c.RefreshPolicy = p.RefreshIdle, p.RefreshAbsolute, p.RefreshPolicy
	c.IP, c.IPRefresh, c.DPoPBound = p.IP, p.IPRefresh, p.DPoPBound
	c.RevokeShared, c.Disabled, c.Mint = p.RevokeShared, p.Disabled, p.Mint
	return c
}

// withDefaults fills in what may be left out.
func (p Spec) withDefaults() Spec {
	if p.Name == "" {
		p.Name = p.ID
	}
	if p.AuthMethod == "" {
		p.AuthMethod = oauth.ClientSecretBasic
	}
	return p
}

// Differences names the members in which two specifications differ, the way
// they are written in Go. Secret and Version are not compared, and an empty
// list is the same as none.
func (p Spec) Differences(q Spec) []string {
	p, q = p.withDefaults(), q.withDefaults()
	var names []string
	a, b := reflect.ValueOf(p), reflect.ValueOf(q)
	for i := range a.NumField() {
		name := a.Type().Field(i).Name
		switch x, y := a.Field(i), b.Field(i); {
		case name == "Secret" || name == "Version":
		case x.Kind() == reflect.Slice && x.Len() == 0 && y.Len() == 0:
		case !reflect.DeepEqual(x.Interface(), y.Interface()):
			names = append(names, name)
		}
	}
	return names
}

const (
	maxID     = 128 // characters
	minSecret = 32  // characters of a secret that is brought along
	maxName   = 200 // characters
)

var (
	grantTypes  = []string{oauth.AuthorizationCode, oauth.RefreshToken, oauth.ClientCredentials}
	authMethods = []string{oauth.ClientSecretBasic, oauth.ClientSecretPost, oauth.NoAuthentication}
	ipModes     = []authority.IPMode{"", authority.IPOff, authority.IPFlag, authority.IPEnforce}
	policies    = []authority.RefreshPolicy{"", authority.RefreshStandard, authority.RefreshStrict, authority.RefreshTolerant, authority.RefreshBound}
)

// validate reports everything that is wrong with p (or with who asks), wrapped with ErrInvalid.
func (s *Service) validate(actor authority.Actor, p Spec) error {
	public := p.AuthMethod == oauth.NoAuthentication
	var problems []error
	wrong := func(format string, values ...any) { problems = append(problems, fmt.Errorf(format, values...)) }

	problems = append(problems, checkActor(actor), checkID(p.ID), checkName(p.Name))
	if !slices.Contains(authMethods, p.AuthMethod) {
		wrong("authentication method: it is none of %s", strings.Join(authMethods, ", "))
	}
	for i, g := range p.GrantTypes {
		if !slices.Contains(grantTypes, g) {
			wrong("grant type %d: it is none of %s", i+1, strings.Join(grantTypes, ", "))
		}
	}
	problems = append(problems, unique("grant types", p.GrantTypes), unique("redirect URIs", p.RedirectURIs))
	if public && slices.Contains(p.GrantTypes, oauth.ClientCredentials) { // OAuth 2.1 section 4.2
		wrong("grant types: a public client cannot use %s", oauth.ClientCredentials)
	}
	if slices.Contains(p.GrantTypes, oauth.AuthorizationCode) && len(p.RedirectURIs) == 0 { // OAuth 2.1 section 2.3.1
		wrong("redirect URIs: %s needs at least one", oauth.AuthorizationCode)
	}
	for i, uri := range p.RedirectURIs {
		if err := ValidateRedirect(uri, p.Native, public); err != nil {
			wrong("redirect URI %d: %w", i+1, err)
		}
	}
	for i, uri := range p.PostLogoutRedirectURIs {
		if err := ValidateRedirect(uri, p.Native, public); err != nil {
			wrong("post-logout redirect URI %d: %w", i+1, err)
		}
	}
	if err := checkLogoutURI(p.BackchannelLogoutURI); err != nil {
		wrong("back-channel logout URI: %w", err)
	}
	if p.BackchannelLogoutSessionRequired && p.BackchannelLogoutURI == "" {
		wrong("back-channel logout: a session is required, but there is no URI")
	}
	problems = append(problems, checkScope(p.Scope), s.checkMint(p))
	if p.Audience != "" {
		problems = append(problems, checkAudience(p.Audience))
	}
	if p.WithoutPKCE && public { // OAuth 2.1 section 7.5.1
		wrong("PKCE: a public client cannot do without it")
	}
	if algs := s.cfg.IDTokenAlgorithms(); p.IDTokenAlg != "" && !slices.Contains(algs, p.IDTokenAlg) {
		wrong("ID token algorithm: it is none of %s", strings.Join(algs, ", "))
	}
	if p.AccessLifetime < 0 || p.RefreshIdle < 0 || p.RefreshAbsolute < 0 {
		wrong("lifetimes: one is negative")
	}
	if p.AccessLifetime > s.cfg.MaxAccessLifetime {
		wrong("access lifetime: it is more than %v", s.cfg.MaxAccessLifetime)
	}
	if p.RefreshAbsolute > 0 && p.RefreshIdle > p.RefreshAbsolute {
		wrong("refresh lifetimes: idle is more than absolute")
	}
	if !slices.Contains(policies, p.RefreshPolicy) {
		wrong("refresh policy: it is none of standard, strict, tolerant, bound")
	}
	if !slices.Contains(ipModes, p.IP) {
		wrong("ip: it is none of off, flag, enforce")
	}
	if p.IPRefresh && p.IP != authority.IPEnforce {
		wrong("ip: that refreshing is bound to a network too needs enforce")
	}
	// RFC 9700 section 4.14.2: public clients rotate, unless a key keeps thieves out.
	if p.RefreshPolicy == authority.RefreshBound && public && !p.DPoPBound {
		wrong("refresh policy: bound is for confidential clients and for those that get only tokens bound to a key")
	}
	if p.DPoPBound && p.Mint != nil { // what a batch makes is for others, whose keys are not known
		wrong("DPoP: a client that gets only tokens bound to a key mints none")
	}
	if !p.Secret.Empty() {
		switch {
		case public:
			wrong("secret: a public client has none")
		default:
			problems = append(problems, checkSecret(p.Secret))
		}
	}
	return invalid(problems...)
}

// checkID: unreserved characters of a URI, and nothing that could be taken for
// the `sub` of a person (RFC 9700 section 4.15; SPECS BCP-4).
func checkID(id string) error {
	if len(id) < 1 || len(id) > maxID {
		return fmt.Errorf("id: it must have 1 to %d characters", maxID)
	}
	for i := range len(id) {
		if !letterOrDigit(id[i]) && (i == 0 || strings.IndexByte("._~-", id[i]) < 0) {
			return errors.New("id: it may have letters, digits, and after the first character . _ ~ -")
		}
	}
	if len(id) == len(secret.ID{}.String()) && !strings.ContainsAny(id, ".~") {
		return errors.New("id: it looks like the id of an account; make it longer or shorter than 22 characters")
	}
	return nil
}

func letterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func checkScope(scope []string) error {
	for i, token := range scope {
		if parsed, ok := oauth.ParseScope(token); !ok || len(parsed) != 1 {
			return fmt.Errorf("scope %d: it is empty or has a character that scopes must not have", i+1)
		}
	}
	return unique("scope", scope)
}

func checkAudience(audience string) error {
	if len(audience) < 1 || len(audience) > 512 {
		return errors.New("audience: it must have 1 to 512 characters")
	}
	for i := range len(audience) {
		if c := audience[i]; c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '#' {
			return errors.New("audience: it has a space, a fragment or a character that is not printable ASCII")
		}
	}
	return nil
}

func checkSecret(s secret.Value) error {
	if utf8.RuneCountInString(s.Reveal()) < minSecret {
		return fmt.Errorf("secret: it must have at least %d characters", minSecret)
	}
	return nil
}

func checkName(text string) error {
	if utf8.RuneCountInString(text) > maxName || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("name: it is longer than %d characters or not printable text", maxName)
	}
	return nil
}

func checkActor(a authority.Actor) error {
	if a.Kind == "" || a.ID == "" {
		return errors.New("nobody is named who makes this change")
	}
	return nil
}

func unique(what string, values []string) error {
	for i, v := range values {
		if slices.Contains(values[:i], v) {
			return fmt.Errorf("%s: number %d is there twice", what, i+1)
		}
	}
	return nil
}

// invalid joins problems under ErrInvalid, or returns nil when there are none.
func invalid(problems ...error) error {
	err := errors.Join(problems...)
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrInvalid, err)
}
