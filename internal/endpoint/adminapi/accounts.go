package adminapi

import (
	"context"
	"net/http"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/provision"
	"github.com/jetonhq/jeton/internal/secret"
)

func (h *handler) createAccount(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var n admin.NewAccount
	if err := decode(w, r, &n); err != nil {
		return err
	}
	a, err := h.cfg.Accounts.Create(r.Context(), operator(), provision.NewAccount(n), why)
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, provision.WireAccount(a))
}

func (h *handler) listAccounts(w http.ResponseWriter, r *http.Request) error {
	p, err := page(r)
	if err != nil {
		return err
	}
	list, err := h.cfg.Accounts.List(r.Context(), p)
	if err != nil {
		return err
	}
	return answerPage(w, p, list, provision.WireAccount, func(a authority.Account) string { return a.Login })
}

func (h *handler) showAccount(w http.ResponseWriter, r *http.Request) error {
	a, err := h.cfg.Accounts.Find(r.Context(), r.PathValue("account"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, provision.WireAccount(a))
}

func (h *handler) updateAccount(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var u admin.AccountUpdate
	if err := decode(w, r, &u); err != nil {
		return err
	}
	a, err := h.cfg.Accounts.Find(r.Context(), r.PathValue("account"))
	if err != nil {
		return err
	}
	p := accounts.ProfileOf(a)
	if u.Name != nil {
		p.Name = *u.Name
	}
	if u.Email != nil && *u.Email != p.Email {
		p.Email, p.EmailVerified = *u.Email, false
	}
	if u.EmailVerified != nil {
		p.EmailVerified = *u.EmailVerified
	}
	a, err = h.cfg.Accounts.UpdateProfile(r.Context(), operator(), a.ID, p, why)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, provision.WireAccount(a))
}

func (h *handler) disableAccount(w http.ResponseWriter, r *http.Request) error {
	return h.changeAccount(w, r, func(ctx context.Context, a authority.Account, why string) error {
		_, err := h.cfg.Accounts.Disable(ctx, operator(), a.ID, why)
		return err
	})
}

func (h *handler) enableAccount(w http.ResponseWriter, r *http.Request) error {
	return h.changeAccount(w, r, func(ctx context.Context, a authority.Account, why string) error {
		_, err := h.cfg.Accounts.Enable(ctx, operator(), a.ID, why)
		return err
	})
}

func (h *handler) setPassword(w http.ResponseWriter, r *http.Request) error {
	var body admin.PasswordRequest
	if err := decode(w, r, &body); err != nil {
		return err
	}
	return h.changeAccount(w, r, func(ctx context.Context, a authority.Account, why string) error {
		_, err := h.cfg.Accounts.SetPassword(ctx, operator(), a.ID, secret.New(body.Password), why)
		return err
	})
}

func (h *handler) endSessions(w http.ResponseWriter, r *http.Request) error {
	return h.changeAccount(w, r, func(ctx context.Context, a authority.Account, why string) error {
		return h.cfg.Accounts.EndSessions(ctx, operator(), a.ID, secret.ID{}, why)
	})
}

func (h *handler) changeAccount(w http.ResponseWriter, r *http.Request, change func(context.Context, authority.Account, string) error) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	a, err := h.cfg.Accounts.Find(r.Context(), r.PathValue("account"))
	if err != nil {
		return err
	}
	if err := change(r.Context(), a, why); err != nil {
		return err
	}
	return done(w)
}

func (h *handler) listSessions(w http.ResponseWriter, r *http.Request) error {
	p, err := page(r)
	if err != nil {
		return err
	}
	account, err := h.queryAccount(r)
	if err != nil {
		return err
	}
	list, err := h.cfg.Accounts.Sessions(r.Context(), account, p)
	if err != nil {
		return err
	}
	return answerPage(w, p, list, h.wireSession, func(s authority.Session) string { return s.ID.String() })
}

func (h *handler) endSession(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := h.cfg.Accounts.EndSession(r.Context(), operator(), id, why); err != nil {
		return err
	}
	return done(w)
}

// queryAccount reads the account parameter, an id or login; zero when absent.
func (h *handler) queryAccount(r *http.Request) (secret.ID, error) {
	text := r.URL.Query().Get("account")
	if text == "" {
		return secret.ID{}, nil
	}
	a, err := h.cfg.Accounts.Find(r.Context(), text)
	return a.ID, err
}
