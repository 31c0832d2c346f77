package web

import (
	"net/http"
	"strings"

	"github.com/jetonhq/jeton/internal/flow"
)

// visit is a page of an authorization request being looked at: the request, who
// looks, and what the flow says comes next.
type visit struct {
	query   string
	browser flow.Browser
	step    flow.Step
}

// flowParam comes first in the query of a page, and the request after it.
const flowParam = "flow="

// pageQuery splits the query of a page into the sealed state and the request.
// ok is false when the page was not opened for a request.
func pageQuery(raw string) (state, query string, ok bool) {
	rest, ok := strings.CutPrefix(raw, flowParam)
	if !ok {
		return "", "", false
	}
	state, query, ok = strings.Cut(rest, "&")
	return state, query, ok && query != ""
}

// visit reads a page's request. ok is false when there is none; the browser is
// known in any case.
func (h *Handler) visit(r *http.Request) (v visit, ok bool, err error) {
	if v.browser, err = h.browser(r); err != nil {
		return v, false, err
	}
	state, query, ok := pageQuery(r.URL.RawQuery)
	if !ok {
		return v, false, nil
	}
	v.query = query
	v.browser.State = h.cfg.Flow.Open(state, query)
	v.step, err = h.cfg.Flow.Decide(r.Context(), query, v.browser)
	return v, true, err
}

// take goes where the step leads: to a page, or with an answer to the client.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, v visit) error {
	switch s := v.step.(type) {
	case flow.Respond:
		return h.respond(w, r, s)
	case flow.Issue:
		return h.respond(w, r, h.cfg.Flow.Issue(r.Context(), s, v.browser))
	case flow.SelectAccount:
		h.see(w, h.local("/select", v))
	case flow.Consent:
		h.see(w, h.local("/consent", v))
	default:
		h.see(w, h.local("/signin", v))
	}
	return nil
}

// local is the address of one of our pages for the visit's request.
func (h *Handler) local(path string, v visit) string {
	return h.prefix + path + "?" + flowParam + h.cfg.Flow.Seal(v.browser.State, v.query) + "&" + flow.Canonical(v.query)
}

// see redirects. The status is always 303, so that what was posted is never
// posted again (SPECS GEN-9).
func (h *Handler) see(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}
