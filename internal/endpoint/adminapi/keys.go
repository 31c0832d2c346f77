package adminapi

import (
	"context"
	"net/http"
	"slices"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/jwk"
)

func (h *handler) listKeys(w http.ResponseWriter, r *http.Request) error {
	all, err := h.cfg.Keys.List(r.Context())
	if err != nil {
		return err
	}
	items := []admin.Key{}
	for _, k := range all {
		if ring := r.URL.Query().Get("ring"); ring == "" || ring == k.Ring {
			items = append(items, h.wireKey(k, all))
		}
	}
	return answer(w, http.StatusOK, admin.List[admin.Key]{Items: items})
}

func (h *handler) wireKey(k authority.Key, all []authority.Key) admin.Key {
	at, next := h.cfg.Keys.Next(k.Ring, all, k.ID)
	return admin.Key{
		ID: k.ID, Ring: k.Ring, Algorithm: k.Algorithm, State: string(k.State), CreatedAt: k.CreatedAt, ChangedAt: k.ChangedAt,
		NextState: string(next), NextAt: at, Public: k.Public,
	}
}

// findKey finds the key that the path names, among all.
func (h *handler) findKey(r *http.Request) (authority.Key, []authority.Key, error) {
	all, err := h.cfg.Keys.List(r.Context())
	if err != nil {
		return authority.Key{}, nil, err
	}
	i := slices.IndexFunc(all, func(k authority.Key) bool { return k.ID == r.PathValue("id") })
	if i < 0 {
		return authority.Key{}, nil, authority.ErrNotFound
	}
	return all[i], all, nil
}

func (h *handler) showKey(w http.ResponseWriter, r *http.Request) error {
	k, all, err := h.findKey(r)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, h.wireKey(k, all))
}

// showHolders says which guards could verify with a key. They hold the keys of
// access tokens: about other rings nobody reports.
func (h *handler) showHolders(w http.ResponseWriter, r *http.Request) error {
	k, _, err := h.findKey(r)
	if err != nil {
		return err
	}
	found := admin.KeyHolders{UsableFrom: h.cfg.Keys.Schedule().StagedUntil(k), Guards: []admin.KeyHolder{}}
	if k.Ring == authority.RingAccess && h.cfg.Feed != nil {
		all, err := h.cfg.Feed.Followers(r.Context())
		if err != nil {
			return err
		}
		for _, g := range all {
			found.Guards = append(found.Guards, admin.KeyHolder{
				Client: g.Client, From: g.From, Since: g.Since, Holds: slices.Contains(g.Keys, k.ID), Node: g.Node, Others: g.Others,
			})
		}
	}
	return answer(w, http.StatusOK, found)
}

func (h *handler) stageKey(w http.ResponseWriter, r *http.Request) error {
	return h.nextKey(w, r, h.cfg.Keys.Stage)
}

func (h *handler) rotateKey(w http.ResponseWriter, r *http.Request) error {
	return h.nextKey(w, r, h.cfg.Keys.Rotate)
}

func (h *handler) nextKey(w http.ResponseWriter, r *http.Request, next func(context.Context, string, jwk.Algorithm, keys.Why) (authority.Key, error)) error {
	var n admin.NewKey
	return h.changeKey(w, r, &n, func(ctx context.Context, why keys.Why) (authority.Key, error) {
		return next(ctx, r.PathValue("ring"), jwk.Algorithm(n.Algorithm), why)
	})
}

func (h *handler) importKey(w http.ResponseWriter, r *http.Request) error {
	var given admin.ImportedKey
	return h.changeKey(w, r, &given, func(ctx context.Context, why keys.Why) (authority.Key, error) {
		key, err := jwk.ParsePrivate(given.Key)
		if err != nil {
			return authority.Key{}, invalidf("the key is no private JWK that can sign: %v", err)
		}
		return h.cfg.Keys.Import(ctx, r.PathValue("ring"), key, why)
	})
}

func (h *handler) activateKey(w http.ResponseWriter, r *http.Request) error {
	var change admin.KeyChange
	return h.changeKey(w, r, &change, func(ctx context.Context, why keys.Why) (authority.Key, error) {
		return h.cfg.Keys.Activate(ctx, r.PathValue("id"), change.Force, why)
	})
}

func (h *handler) retireKey(w http.ResponseWriter, r *http.Request) error {
	var change admin.KeyChange
	return h.changeKey(w, r, &change, func(ctx context.Context, why keys.Why) (authority.Key, error) {
		return h.cfg.Keys.Retire(ctx, r.PathValue("id"), change.Force, why)
	})
}

func (h *handler) compromiseKey(w http.ResponseWriter, r *http.Request) error {
	return h.changeKey(w, r, nil, func(ctx context.Context, why keys.Why) (authority.Key, error) {
		if r.Header.Get(admin.ReasonHeader) == "" {
			return authority.Key{}, invalidf("say why: it is on record for ever after")
		}
		return h.cfg.Keys.Compromise(ctx, r.PathValue("id"), why)
	})
}

// changeKey reads the body, if one is wanted, makes the change and answers with the
// key that came of it.
func (h *handler) changeKey(w http.ResponseWriter, r *http.Request, body any, change func(context.Context, keys.Why) (authority.Key, error)) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	if body != nil {
		if err := decode(w, r, body); err != nil {
			return err
		}
	}
	k, err := change(r.Context(), keys.Why{Actor: operator(), Reason: why})
	if err != nil {
		return err
	}
	all, err := h.cfg.Keys.List(r.Context())
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, h.wireKey(k, all))
}
