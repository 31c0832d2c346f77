package postgres

import (
	"context"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	accountColumns = `id, login, name, email, email_verified, password_hash, disabled, version, created_at, updated_at`

	sqlAccountsByID   = `SELECT ` + accountColumns + ` FROM accounts WHERE id = ANY($1)`
	sqlAccountByLogin = `SELECT ` + accountColumns + ` FROM accounts WHERE login = $1`
	sqlAccounts       = `SELECT ` + accountColumns + ` FROM accounts WHERE login > $1 ORDER BY login LIMIT $2`

	sqlInsertAccount = `
INSERT INTO accounts (` + accountColumns + `)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT DO NOTHING`

	// A login that is taken makes this change no row, like a version that moved.
	sqlUpdateAccount = `
UPDATE accounts
SET login = $2, name = $3, email = $4, email_verified = $5, password_hash = $6, disabled = $7,
    version = version + 1, updated_at = $9
WHERE id = $1 AND version = $8`
)

// CreateAccount implements authority.AccountStore.
func (s *Store) CreateAccount(ctx context.Context, a authority.Account, e authority.Event) error {
	return s.write(ctx, "create account", func(t *tx) error {
		n, err := t.exec(sqlInsertAccount, a.ID[:], a.Login, a.Name, a.Email, a.EmailVerified, a.PasswordHash,
			a.Disabled, a.Version, columns.Millis(a.CreatedAt), columns.Millis(a.UpdatedAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return authority.ErrConflict
		}
		return insertEvent(t, e)
	})
}

// Account implements authority.AccountStore.
func (s *Store) Account(ctx context.Context, id secret.ID) (authority.Account, error) {
	return s.accounts.one(ctx, id)
}

// AccountByLogin implements authority.AccountStore.
func (s *Store) AccountByLogin(ctx context.Context, login string) (authority.Account, error) {
	return one(ctx, s, "account by login", scanAccount, sqlAccountByLogin, login)
}

// Accounts implements authority.AccountStore.
func (s *Store) Accounts(ctx context.Context, p authority.Page) ([]authority.Account, error) {
	return many(ctx, s, "accounts", scanAccount, sqlAccounts, p.After, columns.PageLimit(p))
}

// UpdateAccount implements authority.AccountStore.
func (s *Store) UpdateAccount(ctx context.Context, a authority.Account, e authority.Event) error {
	return s.write(ctx, "update account", func(t *tx) error {
		if err := updateAccount(t, a); err != nil {
			return err
		}
		return insertEvent(t, e)
	})
}

func updateAccount(t *tx, a authority.Account) error {
	n, err := t.exec(sqlUpdateAccount, a.ID[:], a.Login, a.Name, a.Email, a.EmailVerified, a.PasswordHash,
		a.Disabled, a.Version, columns.Millis(a.UpdatedAt))
	if err != nil {
		return err
	}
	if n == 0 {
		return authority.ErrConflict
	}
	return nil
}

func scanAccount(r columns.Row) (authority.Account, error) {
	var a authority.Account
	err := r.Scan((*columns.ID)(&a.ID), &a.Login, &a.Name, &a.Email, &a.EmailVerified, &a.PasswordHash,
		&a.Disabled, &a.Version, (*columns.Time)(&a.CreatedAt), (*columns.Time)(&a.UpdatedAt))
	return a, err
}
