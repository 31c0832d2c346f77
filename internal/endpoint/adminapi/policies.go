package adminapi

import (
	"net/http"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/provision"
)

func (h *handler) listPolicies(w http.ResponseWriter, r *http.Request) error {
	list, err := h.cfg.Policies.List(r.Context(), r.URL.Query().Get("audience"))
	if err != nil {
		return err
	}
	items := make([]admin.Policy, len(list))
	for i, p := range list {
		items[i] = provision.WirePolicy(p)
	}
	return answer(w, http.StatusOK, admin.List[admin.Policy]{Items: items})
}

func (h *handler) showPolicy(w http.ResponseWriter, r *http.Request) error {
	p, err := h.cfg.Policies.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, provision.WirePolicy(p))
}

func (h *handler) putPolicy(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	var spec admin.PolicySpec
	if err := decode(w, r, &spec); err != nil {
		return err
	}
	name := r.PathValue("name")
	if spec.Name != "" && spec.Name != name {
		return invalidf("the body's name is another than the path's")
	}
	p, err := h.cfg.Policies.Put(r.Context(), operator(), name, provision.Policy(spec), why)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, provision.WirePolicy(p))
}

func (h *handler) deletePolicy(w http.ResponseWriter, r *http.Request) error {
	why, err := reason(r)
	if err != nil {
		return err
	}
	if err := h.cfg.Policies.Delete(r.Context(), operator(), r.PathValue("name"), why); err != nil {
		return err
	}
	return done(w)
}

func (h *handler) testPolicies(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	o, err := h.cfg.Policies.Test(r.Context(), q.Get("audience"), q.Get("method"), q.Get("path"))
	if err != nil {
		return err
	}
	test := admin.PolicyTest{Policies: []admin.Policy{}, Together: provision.WireDemands(o.Together), Nobody: o.Nobody}
	for _, p := range o.Policies {
		test.Policies = append(test.Policies, provision.WirePolicy(p))
	}
	return answer(w, http.StatusOK, test)
}
