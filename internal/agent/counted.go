package agent

import (
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/jetonhq/jeton/internal/answered"
)

// counted counts each answer and keeps one broken handler from ending the
// process. There is no line per request: the proxy in front writes one.
func (a *Agent) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &answered.Writer{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				a.log.ErrorContext(r.Context(), "handler panicked", "panic", p, "stack", string(debug.Stack()))
				if rec.Status == 0 {
					http.Error(rec, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
				}
			}
			route := r.Pattern // the one that matched: the number of series stays small
			if route == "" {
				route = "none"
			}
			a.metrics.requests.WithLabelValues(route, strconv.Itoa(rec.Status)).Inc()
		}()
		next.ServeHTTP(rec, r)
	})
}
