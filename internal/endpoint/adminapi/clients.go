package adminapi

import (
	"net/http"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/provision"
	"github.com/jetonhq/jeton/internal/secret"
)

func (h *handler) createClient(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var n admin.NewClient
	if err := decode(w, r, &n); err != nil {
		return err
	}
	c, made, err := h.cfg.Clients.Create(r.Context(), operator(), provision.NewClient(n), why)
	if err != nil {
		return err
	}
	if n.Secret != "" {
		made = secret.Value{} // the caller knows it
	}
	return answer(w, http.StatusCreated, issued(c, made))
}

func issued(c authority.Client, made secret.Value) admin.IssuedClient {
	return admin.IssuedClient{Client: provision.WireClient(c), Secret: made.Reveal()}
}

func (h *handler) listClients(w http.ResponseWriter, r *http.Request) error {
	p, err := page(r)
	if err != nil {
		return err
	}
	list, err := h.cfg.Clients.List(r.Context(), p)
	if err != nil {
		return err
	}
	return answerPage(w, p, list, provision.WireClient, func(c authority.Client) string { return c.ID })
}

func (h *handler) showClient(w http.ResponseWriter, r *http.Request) error {
	c, err := h.cfg.Clients.Lookup(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, provision.WireClient(c))
}

func (h *handler) updateClient(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var u admin.ClientUpdate
	if err := decode(w, r, &u); err != nil {
		return err
	}
	id := r.PathValue("id")
	if u.ID != "" && u.ID != id {
		return invalidf("the body's id is another than the path's; a client keeps its id")
	}
	spec := provision.ClientSpec(u.ClientSpec)
	spec.Version = u.Version
	c, err := h.cfg.Clients.Update(r.Context(), operator(), id, spec, why)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, provision.WireClient(c))
}

func (h *handler) rotateSecret(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var how admin.SecretRotation
	if r.ContentLength != 0 { // an older caller sends nothing
		if err := decode(w, r, &how); err != nil {
			return err
		}
	}
	if !how.OldUntil.IsZero() && how.Compromised {
		return invalidf("secrets that are compromised end now, and not later")
	}
	rotation := clients.Rotation{OldUntil: how.OldUntil, Compromised: how.Compromised}
	c, made, err := h.cfg.Clients.RotateSecret(r.Context(), operator(), r.PathValue("id"), rotation, why)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, issued(c, made))
}

func (h *handler) deleteClient(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	if err := h.cfg.Clients.Delete(r.Context(), operator(), r.PathValue("id"), why); err != nil {
		return err
	}
	return done(w)
}

func (h *handler) listResources(w http.ResponseWriter, r *http.Request) error {
	resources, err := h.cfg.Clients.Resources(r.Context())
	if err != nil {
		return err
	}
	list := admin.List[admin.Resource]{Items: []admin.Resource{}}
	for _, resource := range resources {
		list.Items = append(list.Items, provision.WireResource(resource))
	}
	return answer(w, http.StatusOK, list)
}

func (h *handler) putResource(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var n admin.NewResource
	if err := decode(w, r, &n); err != nil {
		return err
	}
	audience := r.PathValue("audience")
	if n.Audience != "" && n.Audience != audience {
		return invalidf("the body's audience is another than the path's")
	}
	resource, made, err := h.cfg.Clients.PutResource(r.Context(), operator(), clients.ResourceSpec{
		Audience: audience, Name: n.Name, Scope: n.Scope, ClientID: n.ClientID, CreateClient: n.CreateClient, Ring: n.Signing.Ring,
	}, why)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, admin.IssuedResource{Resource: provision.WireResource(resource), Secret: made.Reveal()})
}

func (h *handler) deleteResource(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	if err := h.cfg.Clients.DeleteResource(r.Context(), operator(), r.PathValue("audience"), why); err != nil {
		return err
	}
	return done(w)
}

func (h *handler) apply(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var body admin.ApplyRequest
	if err := decode(w, r, &body); err != nil {
		return err
	}
	diff, err := h.cfg.Provision.Apply(r.Context(), operator(), body.Document, why, body.DryRun)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, diff)
}
