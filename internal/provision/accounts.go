package provision

import (
	"cmp"
	"context"
	"errors"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func (p *plan) accounts(ctx context.Context, d admin.Document) error {
	for _, declared := range d.Accounts {
		login, err := accounts.NormalizeLogin(declared.Login)
		if err != nil {
			return err
		}
		declared.Login = login
		declared.Name = cmp.Or(declared.Name, login)

		account, err := p.service.Accounts.Find(ctx, login)
		switch {
		case errors.Is(err, authority.ErrNotFound):
			p.createAccount(declared)
		case err != nil:
			return err
		default:
			p.updateAccount(account, declared.AccountSpec)
		}
	}
	return nil
}

// NewAccount reads an account to create from the wire.
func NewAccount(w admin.NewAccount) accounts.NewAccount {
	return accounts.NewAccount{
		Login: w.Login, Name: w.Name, Email: w.Email, EmailVerified: w.EmailVerified,
		Disabled: w.Disabled, Password: secret.New(w.Password),
	}
}

func (p *plan) createAccount(declared admin.NewAccount) {
	fields := differences(admin.AccountSpec{Login: declared.Login}, declared.AccountSpec)
	if declared.Password != "" {
		fields = append(fields, admin.Field{Name: "password"})
	}
	p.add(admin.Create, "account", declared.Login, fields, func(ctx context.Context) (secret.Value, error) {
		_, err := p.service.Accounts.Create(ctx, p.actor, NewAccount(declared), p.reason)
		return secret.Value{}, err
	})
}

func (p *plan) updateAccount(account authority.Account, declared admin.AccountSpec) {
	fields := differences(accountSpec(account), declared)
	if len(fields) == 0 {
		p.add(admin.Keep, "account", account.Login, nil, nil)
		return
	}
	p.add(admin.Update, "account", account.Login, fields, func(ctx context.Context) (secret.Value, error) {
		profile := accounts.Profile{Login: declared.Login, Name: declared.Name, Email: declared.Email, EmailVerified: declared.EmailVerified}
		_, err := p.service.Accounts.UpdateProfile(ctx, p.actor, account.ID, profile, p.reason)
		if err == nil && declared.Disabled && !account.Disabled {
			_, err = p.service.Accounts.Disable(ctx, p.actor, account.ID, p.reason)
		}
		if err == nil && !declared.Disabled && account.Disabled {
			_, err = p.service.Accounts.Enable(ctx, p.actor, account.ID, p.reason)
		}
		return secret.Value{}, err
	})
}
