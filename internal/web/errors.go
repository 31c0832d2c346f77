package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/flow"
)

type errorPage struct {
	Title string
	Text  string
}

// showError is the one place where an error becomes a page. What it shows are
// fixed words; the cause goes to the log.
func (h *Handler) showError(w http.ResponseWriter, r *http.Request, err error) {
	problem, ok := errors.AsType[*flow.Problem](err)
	if !ok {
		problem = fault(err)
	}
	if problem.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	h.logProblem(r, problem)
	if err := h.show(w, r, problem.Status, "error", problem.Title, errorPage{problem.Title, problem.Text}); err != nil {
		h.cfg.Logger.ErrorContext(r.Context(), "error page not shown", "error", err)
		http.Error(w, problem.Title, problem.Status)
	}
}

// fault says what the person needs to know of an error of ours.
func fault(err error) *flow.Problem {
	switch {
	case errors.Is(err, authority.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		return &flow.Problem{
			Status: http.StatusServiceUnavailable,
			Title:  "We are very busy",
			Text:   "Nothing was lost. Wait a moment and load this page again.",
			Cause:  err,
		}
	default:
		return &flow.Problem{
			Status: http.StatusInternalServerError,
			Title:  "Something went wrong on our side",
			Text:   "It is not your fault. Try again; if it keeps happening, tell whoever runs this site and give them the reference below.",
			Cause:  err,
		}
	}
}

func (h *Handler) logProblem(r *http.Request, p *flow.Problem) {
	level := slog.LevelInfo
	if p.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	h.cfg.Logger.LogAttrs(r.Context(), level, "page refused",
		slog.String("path", r.URL.Path), slog.Int("status", p.Status), slog.String("title", p.Title), slog.Any("error", p.Cause))
}
