package postgres

import (
	"context"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	clientColumns = `id, name, auth_method, secrets, grant_types, redirect_uris, post_logout_redirect_uris, scope, audience,
first_party, native, without_pkce, id_token_alg, access_lifetime, refresh_idle, refresh_absolute, refresh_policy,
revoke_shared, disabled, version, created_at, updated_at, mint, dpop_bound, ip, ip_refresh,
backchannel_logout_uri, backchannel_logout_session_required`
	resourceColumns = `audience, client_id, name, scope, created_at, ring`

	sqlClient  = `SELECT ` + clientColumns + ` FROM clients WHERE id = $1`
	sqlClients = `SELECT ` + clientColumns + ` FROM clients WHERE id > $1 ORDER BY id LIMIT $2`

	sqlInsertClient = `
INSERT INTO clients (` + clientColumns + `)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        $25, $26, $27, $28)
ON CONFLICT DO NOTHING`

	sqlUpdateClient = `
UPDATE clients
SET name = $2, auth_method = $3, secrets = $4, grant_types = $5, redirect_uris = $6, post_logout_redirect_uris = $7,
    scope = $8, audience = $9, first_party = $10, native = $11, without_pkce = $12, id_token_alg = $13,
    access_lifetime = $14, refresh_idle = $15, refresh_absolute = $16, refresh_policy = $17, revoke_shared = $18,
    disabled = $19, version = version + 1, updated_at = $21, mint = $22, dpop_bound = $23, ip = $24, ip_refresh = $25,
    backchannel_logout_uri = $26, backchannel_logout_session_required = $27
WHERE id = $1 AND version = $20`

	sqlDeleteClient         = `DELETE FROM clients WHERE id = $1`
	sqlDeleteClientConsents = `DELETE FROM consents WHERE client_id = $1`
	sqlDeleteClientCodes    = `DELETE FROM codes WHERE client_id = $1`

	sqlPutResource = `
INSERT INTO resources (` + resourceColumns + `) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (audience) DO UPDATE
SET client_id = excluded.client_id, name = excluded.name, scope = excluded.scope, created_at = excluded.created_at, ring = excluded.ring`
	sqlResource       = `SELECT ` + resourceColumns + ` FROM resources WHERE audience = $1`
	sqlResourceOf     = `SELECT ` + resourceColumns + ` FROM resources WHERE client_id = $1 ORDER BY audience`
	sqlResources      = `SELECT ` + resourceColumns + ` FROM resources ORDER BY audience`
	sqlDeleteResource = `DELETE FROM resources WHERE audience = $1`
)

// CreateClient implements authority.ClientStore.
func (s *Store) CreateClient(ctx context.Context, c authority.Client, e authority.Event) error {
	return s.write(ctx, "create client", func(t *tx) error {
		n, err := t.exec(sqlInsertClient, append(clientValues(c), c.Version, columns.Millis(c.CreatedAt), columns.Millis(c.UpdatedAt), columns.MintPolicyText(c.Mint), c.DPoPBound, string(c.IP), c.IPRefresh,
			c.BackchannelLogoutURI, c.BackchannelLogoutSessionRequired)...)
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrConflict
		}
		return insertEvent(t, e)
	})
}

// Client implements authority.ClientStore.
func (s *Store) Client(ctx context.Context, id string) (authority.Client, error) {
	return one(ctx, s, "client", scanClient, sqlClient, id)
}

// Clients implements authority.ClientStore.
func (s *Store) Clients(ctx context.Context, p authority.Page) ([]authority.Client, error) {
	return many(ctx, s, "clients", scanClient, sqlClients, p.After, columns.PageLimit(p))
}

// UpdateClient implements authority.ClientStore.
func (s *Store) UpdateClient(ctx context.Context, c authority.Client, e authority.Event) error {
	return s.write(ctx, "update client", func(t *tx) error {
		if err := updateClient(t, c); err != nil {
			return err
		}
		return insertEvent(t, e)
	})
}

func updateClient(t *tx, c authority.Client) error {
	n, err := t.exec(sqlUpdateClient, append(clientValues(c), c.Version, columns.Millis(c.UpdatedAt), columns.MintPolicyText(c.Mint), c.DPoPBound, string(c.IP), c.IPRefresh,
		c.BackchannelLogoutURI, c.BackchannelLogoutSessionRequired)...)
	if err != nil {
		return err
	}
	if n == 0 {
		return authority.ErrConflict
	}
	return nil
}

// PutResource implements authority.ClientStore.
func (s *Store) PutResource(ctx context.Context, r authority.Resource, e authority.Event) error {
	return s.write(ctx, "put resource", func(t *tx) error {
		_, err := t.exec(sqlPutResource, r.Audience, r.ClientID, r.Name, columns.List(r.Scope), columns.Millis(r.CreatedAt), r.Ring)
		if err != nil {
			return err
		}
		return insertEvent(t, e)
	})
}

// Resource implements authority.ClientStore.
func (s *Store) Resource(ctx context.Context, audience string) (authority.Resource, error) {
	return one(ctx, s, "resource", scanResource, sqlResource, audience)
}

// ResourceOf implements authority.ClientStore.
func (s *Store) ResourceOf(ctx context.Context, clientID string) ([]authority.Resource, error) {
	return many(ctx, s, "resources of client", scanResource, sqlResourceOf, clientID)
}

// Resources implements authority.ClientStore.
func (s *Store) Resources(ctx context.Context) ([]authority.Resource, error) {
	return many(ctx, s, "resources", scanResource, sqlResources)
}

// DeleteResource implements authority.ClientStore.
func (s *Store) DeleteResource(ctx context.Context, audience string, e authority.Event) error {
	return s.write(ctx, "delete resource", func(t *tx) error {
		n, err := t.exec(sqlDeleteResource, audience)
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrNotFound
		}
		return insertEvent(t, e)
	})
}

// clientValues are the columns up to disabled.
func clientValues(c authority.Client) []any {
	return []any{
		c.ID, c.Name, c.AuthMethod, columns.SecretsText(c.Secrets), columns.List(c.GrantTypes), columns.List(c.RedirectURIs),
		columns.List(c.PostLogoutRedirectURIs), columns.List(c.Scope), c.Audience, c.FirstParty, c.Native,
		c.WithoutPKCE, c.IDTokenAlg, c.AccessLifetime.Milliseconds(), c.RefreshIdle.Milliseconds(),
		c.RefreshAbsolute.Milliseconds(), string(c.RefreshPolicy), c.RevokeShared, c.Disabled,
	}
}

func scanClient(r columns.Row) (authority.Client, error) {
	var c authority.Client
	var secrets, policy string
	err := r.Scan(&c.ID, &c.Name, &c.AuthMethod, &secrets, (*columns.Strings)(&c.GrantTypes), (*columns.Strings)(&c.RedirectURIs),
		(*columns.Strings)(&c.PostLogoutRedirectURIs), (*columns.Strings)(&c.Scope), &c.Audience, &c.FirstParty, &c.Native,
		&c.WithoutPKCE, &c.IDTokenAlg, (*columns.Duration)(&c.AccessLifetime), (*columns.Duration)(&c.RefreshIdle),
		(*columns.Duration)(&c.RefreshAbsolute), (*string)(&c.RefreshPolicy), &c.RevokeShared, &c.Disabled, &c.Version,
		(*columns.Time)(&c.CreatedAt), (*columns.Time)(&c.UpdatedAt), &policy, &c.DPoPBound, (*string)(&c.IP), &c.IPRefresh,
		&c.BackchannelLogoutURI, &c.BackchannelLogoutSessionRequired)
	if err != nil {
		return authority.Client{}, err
	}
	if c.Mint, err = columns.ParseMintPolicy(policy); err != nil {
		return authority.Client{}, err
	}
	c.Secrets, err = columns.ParseSecrets(secrets)
	return c, err
}

func scanResource(r columns.Row) (authority.Resource, error) {
	var v authority.Resource
	err := r.Scan(&v.Audience, &v.ClientID, &v.Name, (*columns.Strings)(&v.Scope), (*columns.Time)(&v.CreatedAt), &v.Ring)
	return v, err
}
