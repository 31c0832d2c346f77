package provision

import (
	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/secret"
)

// ClientSpec reads a client's spec from the wire.
func ClientSpec(w admin.ClientSpec) clients.Spec {
	return clients.Spec{
		ID: w.ID, Name: w.Name, AuthMethod: w.AuthMethod, GrantTypes: w.GrantTypes,
		RedirectURIs: w.RedirectURIs, PostLogoutRedirectURIs: w.PostLogoutRedirectURIs,
		BackchannelLogoutURI: w.BackchannelLogoutURI, BackchannelLogoutSessionRequired: w.BackchannelLogoutSessionRequired,
		Scope: w.Scope, Audience: w.Audience, FirstParty: w.FirstParty, Native: w.Native,
		WithoutPKCE: w.WithoutPKCE, IDTokenAlg: w.IDTokenAlg, AccessLifetime: w.AccessLifetime.Std(),
		RefreshIdle: w.RefreshIdle.Std(), RefreshAbsolute: w.RefreshAbsolute.Std(),
		RefreshPolicy: authority.RefreshPolicy(w.RefreshPolicy), RevokeShared: w.RevokeShared, IP: authority.IPMode(w.IP), IPRefresh: w.IPRefresh, DPoPBound: w.DPoPBound, Disabled: w.Disabled,
		Mint: mintPolicy(w.Mint),
	}
}

// NewClient reads a client to create from the wire.
func NewClient(w admin.NewClient) clients.Spec {
	spec := ClientSpec(w.ClientSpec)
	spec.Secret = secret.New(w.Secret)
	return spec
}

// WireClient writes a client to the wire.
func WireClient(c authority.Client) admin.ClientRecord {
	w := admin.ClientRecord{ClientSpec: wireSpec(c), Version: c.Version, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt}
	for _, s := range c.Secrets {
		w.Secrets = append(w.Secrets, admin.ClientSecret{CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt})
	}
	return w
}

func wireSpec(c authority.Client) admin.ClientSpec {
	return admin.ClientSpec{
		ID: c.ID, Name: c.Name, AuthMethod: c.AuthMethod, GrantTypes: c.GrantTypes,
		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		BackchannelLogoutURI: c.BackchannelLogoutURI, BackchannelLogoutSessionRequired: c.BackchannelLogoutSessionRequired,
		Scope: c.Scope, Audience: c.Audience, FirstParty: c.FirstParty, Native: c.Native,
		WithoutPKCE: c.WithoutPKCE, IDTokenAlg: c.IDTokenAlg, AccessLifetime: admin.Duration(c.AccessLifetime),
		RefreshIdle: admin.Duration(c.RefreshIdle), RefreshAbsolute: admin.Duration(c.RefreshAbsolute),
		RefreshPolicy: string(c.RefreshPolicy), RevokeShared: c.RevokeShared, IP: string(c.IP), IPRefresh: c.IPRefresh, DPoPBound: c.DPoPBound, Disabled: c.Disabled,
		Mint: wireMint(c.Mint),
	}
}

// WireResource writes a resource to the wire.
func WireResource(r authority.Resource) admin.Resource {
	return admin.Resource{
		ResourceSpec: admin.ResourceSpec{Audience: r.Audience, Name: r.Name, ClientID: r.ClientID, Scope: r.Scope, Signing: admin.Signing{Ring: r.Ring}},
		CreatedAt:    r.CreatedAt,
	}
}

// WireAccount writes an account to the wire.
func WireAccount(a authority.Account) admin.Account {
	return admin.Account{
		ID: a.Subject(), AccountSpec: accountSpec(a), HasPassword: a.PasswordHash != "", CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
}

func accountSpec(a authority.Account) admin.AccountSpec {
	return admin.AccountSpec{Login: a.Login, Name: a.Name, Email: a.Email, EmailVerified: a.EmailVerified, Disabled: a.Disabled}
}
