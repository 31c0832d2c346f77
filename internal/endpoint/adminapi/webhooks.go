package adminapi

import (
	"net/http"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/notify"
	"github.com/jetonhq/jeton/internal/provision"
	"github.com/jetonhq/jeton/internal/secret"
)

func (h *handler) listWebhooks(w http.ResponseWriter, r *http.Request) error {
	list, err := h.cfg.Webhooks.List(r.Context())
	if err != nil {
		return err
	}
	items := make([]admin.Webhook, len(list))
	for i, hook := range list {
		items[i] = provision.WireWebhook(hook)
	}
	return answer(w, http.StatusOK, admin.List[admin.Webhook]{Items: items})
}

func (h *handler) showWebhook(w http.ResponseWriter, r *http.Request) error {
	hook, err := h.cfg.Webhooks.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, provision.WireWebhook(hook))
}

func (h *handler) putWebhook(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var given admin.NewWebhook
	if err := decode(w, r, &given); err != nil {
		return err
	}
	name := r.PathValue("name")
	if given.Name != "" && given.Name != name {
		return invalidf("the body's name is another than the path's")
	}
	given.Name = name
	hook, made, err := h.cfg.Webhooks.Set(r.Context(), operator(), provision.NewWebhook(given), why)
	return issuedWebhook(w, hook, made, err)
}

func (h *handler) rotateWebhook(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var rotation admin.WebhookRotation
	if err := decode(w, r, &rotation); err != nil {
		return err
	}
	overlap := rotation.Overlap.Std()
	if rotation.Overlap == 0 {
		overlap = notify.Overlap
	}
	hook, made, err := h.cfg.Webhooks.RotateSecret(r.Context(), operator(), r.PathValue("name"), secret.New(rotation.Secret), overlap, why)
	return issuedWebhook(w, hook, made, err)
}

func issuedWebhook(w http.ResponseWriter, hook authority.Webhook, made secret.Value, err error) error {
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, admin.IssuedWebhook{Webhook: provision.WireWebhook(hook), Secret: made.Reveal()})
}

func (h *handler) deleteWebhook(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	if err := h.cfg.Webhooks.Delete(r.Context(), operator(), r.PathValue("name"), why); err != nil {
		return err
	}
	return done(w)
}

func (h *handler) testWebhook(w http.ResponseWriter, r *http.Request) error {
	took, refused, err := h.cfg.Webhooks.Test(r.Context(), operator(), r.PathValue("name"))
	if err != nil {
		return err
	}
	test := admin.WebhookTest{Delivered: refused == nil, Took: admin.Duration(took)}
	if refused != nil {
		test.Error = refused.Error()
	}
	return answer(w, http.StatusOK, test)
}
