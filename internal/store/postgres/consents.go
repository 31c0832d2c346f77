package postgres

import (
	"context"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	consentColumns = `account_id, client_id, scope, created_at, updated_at`

	sqlConsent  = `SELECT ` + consentColumns + ` FROM consents WHERE account_id = $1 AND client_id = $2`
	sqlConsents = `SELECT ` + consentColumns + ` FROM consents WHERE account_id = $1 ORDER BY client_id`

	sqlPutConsent = `
INSERT INTO consents (` + consentColumns + `) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account_id, client_id) DO UPDATE
SET scope = excluded.scope, created_at = excluded.created_at, updated_at = excluded.updated_at`

	sqlDeleteConsent = `DELETE FROM consents WHERE account_id = $1 AND client_id = $2`
)

// Consent implements authority.GrantStore.
func (s *Store) Consent(ctx context.Context, account secret.ID, client string) (authority.Consent, error) {
	return one(ctx, s, "consent", scanConsent, sqlConsent, account[:], client)
}

// Consents implements authority.GrantStore.
func (s *Store) Consents(ctx context.Context, account secret.ID) ([]authority.Consent, error) {
	return many(ctx, s, "consents", scanConsent, sqlConsents, account[:])
}

func putConsent(t *tx, c authority.Consent) error {
	_, err := t.exec(sqlPutConsent, c.AccountID[:], c.ClientID, columns.List(c.Scope), columns.Millis(c.CreatedAt), columns.Millis(c.UpdatedAt))
	return err
}

func scanConsent(r columns.Row) (authority.Consent, error) {
	var c authority.Consent
	err := r.Scan((*columns.ID)(&c.AccountID), &c.ClientID, (*columns.Strings)(&c.Scope),
		(*columns.Time)(&c.CreatedAt), (*columns.Time)(&c.UpdatedAt))
	return c, err
}
