package agent

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/oauth"
)

const (
	maxForm      = 64 << 10         // bytes of a body
	bodyPatience = 10 * time.Second // for a body to arrive
)

// introspect answers whether a token is alive (RFC 7662), for the audience of
// this agent. Every refused token gets exactly {"active":false} (INT-3); why,
// the header Jeton-Reason says, which standard clients do not look at.
func (a *Agent) introspect(w http.ResponseWriter, r *http.Request) {
	if !a.caller(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="jeton agent", charset="UTF-8"`)
		answer(w, http.StatusUnauthorized, oauth.ErrorResponse{Error: oauth.InvalidClient, Description: "client authentication failed"})
		return
	}
	token, status, problem := tokenOf(w, r)
	if problem != "" {
		answer(w, status, oauth.ErrorResponse{Error: oauth.InvalidRequest, Description: problem})
		return
	}
	// Who may present the token is for the caller to check, who has the request
	// and its proof: RFC 9449 section 6.2.
	t, err := a.guard.Check(r.Context(), token, jeton.InsecureSkipProof())
	if err == nil {
		answer(w, http.StatusOK, a.describe(t))
		return
	}
	refusal, ok := errors.AsType[*jeton.Refusal](err)
	if !ok || refusal.Status == http.StatusServiceUnavailable {
		// Not known is not the same as inactive.
		a.guard.WriteRefusal(w, err)
		return
	}
	w.Header().Set(headerReason, refusal.Reason)
	answer(w, http.StatusOK, oauth.Introspection{})
}

func (a *Agent) describe(t *jeton.Token) oauth.Introspection {
	c := t.Claims()
	tokenType := oauth.Bearer
	if c.Confirmation.KeyThumbprint != "" {
		tokenType = oauth.DPoP
	}
	confirmation, _ := c.Claim("cnf")
	return oauth.Introspection{
		Active: true, Scope: c.Scope, ClientID: c.ClientID, TokenType: tokenType, Confirm: confirmation,
		ExpiresAt: c.ExpiresAt, IssuedAt: c.IssuedAt, NotBefore: c.NotBefore,
		Subject: c.Subject, Audience: c.Audience, Issuer: c.Issuer, ID: c.ID,
		SessionID: c.SessionID, GrantID: c.GrantID, AuthTime: c.AuthTime, ACR: c.ACR, AMR: c.AMR,
		Actor: c.Actor, URL: c.URL, URLHash: c.URLHash, Method: c.Method, Uses: c.Uses,
	}
}

// caller reports whether the caller may introspect. The secret comes as a
// bearer token or as the password of HTTP Basic with any user name, since
// introspection clients do either (RFC 7662 section 2.1).
func (a *Agent) caller(r *http.Request) bool {
	if a.cfg.CallerSecret.Empty() {
		return true
	}
	if _, password, ok := r.BasicAuth(); ok {
		// RFC 6749 section 2.3.1 has it form-encoded; not everybody does that.
		decoded, err := url.QueryUnescape(password)
		return a.cfg.CallerSecret.Equal(password) || err == nil && a.cfg.CallerSecret.Equal(decoded)
	}
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, oauth.Bearer) && a.cfg.CallerSecret.Equal(text)
}

// tokenOf reads the one parameter that matters (INT-2). A problem comes with
// the status to answer it with.
func tokenOf(w http.ResponseWriter, r *http.Request) (token string, status int, problem string) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", http.StatusBadRequest, "the body must be application/x-www-form-urlencoded"
	}
	// A body that trickles in must not hold a connection for long.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return "", http.StatusRequestEntityTooLarge, "the request is too large"
	}
	if err != nil {
		return "", http.StatusBadRequest, "the body could not be read"
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", http.StatusBadRequest, "the form is malformed"
	}
	for _, values := range form {
		if len(values) > 1 {
			return "", http.StatusBadRequest, "a parameter is repeated"
		}
	}
	if token = form.Get("token"); token == "" {
		return "", http.StatusBadRequest, "token is missing"
	}
	return token, 0, ""
}

// answer writes JSON that nobody may keep.
func answer(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil { // our own types marshal
		status, b = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
