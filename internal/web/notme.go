package web

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/flow"
	"github.com/jetonhq/jeton/internal/notme"
)

// NotMe is what the page behind a mail's link "this was not me" asks.
type NotMe interface {
	Open(value string) (notme.Target, error)
	Look(ctx context.Context, t notme.Target) ([]notme.Access, bool, error)
	End(ctx context.Context, t notme.Target, from authority.Context) error
}

type notMePage struct {
	Link string
	Live bool // there is something to sign out
	List []notMeAccess
}

// notMeAccess tells the owner enough to recognise a device, and whoever else
// finds the mail little: no name, no whole address.
type notMeAccess struct {
	App     string
	Device  string
	Network string
	Since   string
	Ended   bool
}

// notMe shows what the link would end. It changes nothing: programs that look
// for dangerous mail open every link in it.
func (h *Handler) notMe(w http.ResponseWriter, r *http.Request) error {
	link := r.URL.Query().Get("link")
	t, err := h.openNotMe(link)
	if err != nil {
		return err
	}
	list, reported, err := h.cfg.NotMe.Look(r.Context(), t)
	if err != nil {
		return err
	}
	page := notMePage{Link: link, Live: slices.ContainsFunc(list, func(a notme.Access) bool { return a.Live })}
	for _, a := range list {
		page.List = append(page.List, notMeAccess{
			App: a.App, Device: a.Last.Device(), Network: a.Last.Network,
			Since: a.Since.UTC().Format("2 January 2006, 15:04 UTC"), Ended: !a.Live,
		})
	}
	if reported && !page.Live {
		return h.show(w, r, http.StatusOK, "notmedone", "It is signed out", nil)
	}
	return h.show(w, r, http.StatusOK, "notme", "Was this not you?", page)
}

// notMePost ends it. Nobody has to be signed in: the link has been read from the
// owner's mail, and all it can do is to sign out.
func (h *Handler) notMePost(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	link := form.Get("link")
	t, err := h.openNotMe(link)
	if err != nil {
		return err
	}
	if err := h.cfg.NotMe.End(r.Context(), t, h.from(r)); err != nil {
		return err
	}
	h.see(w, h.prefix+"/not-me?link="+link) // of the characters of base64url and a dot
	return nil
}

func (h *Handler) openNotMe(link string) (notme.Target, error) {
	t, err := h.cfg.NotMe.Open(link)
	if errors.Is(err, notme.ErrLink) {
		return t, &flow.Problem{
			Status: http.StatusNotFound,
			Title:  "This link does not work",
			Text:   "It has expired, or a part of it is missing. Check that you opened the whole link. If you fear for your account, change its password.",
			Cause:  err,
		}
	}
	return t, err
}
