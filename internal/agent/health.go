package agent

import "net/http"

// livez: the process answers.
func (a *Agent) livez(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz: keys are there and the view is fresh, so that no token needs the
// authority's help.
func (a *Agent) readyz(w http.ResponseWriter, _ *http.Request) {
	if a.Ready() {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
		return
	}
	reason := "the authority's keys have not been fetched yet"
	if a.guard.Stats().Stale {
		reason = "the revocation feed is silent"
	}
	answer(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "reason": reason})
}
