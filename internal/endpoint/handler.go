package endpoint

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/feed"
	"github.com/jetonhq/jeton/internal/grants"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/mint"
	"github.com/jetonhq/jeton/internal/tokens"
)

// Config holds what the endpoints call.
type Config struct {
	Issuer  string
	Grants  *grants.Service
	Proofs  *grants.Proofs
	Tokens  *tokens.Service
	Mint    *mint.Service
	Clients *clients.Service
	Keys    *keys.Rings
	Feed    *feed.Feed
	Logger  *slog.Logger

	// Caller tells where a request came from, behind whatever proxies are trusted.
	Caller func(*http.Request) (netip.Addr, authority.Context)
	// Stopping is closed when the server drains, so that streams and long polls end.
	Stopping <-chan struct{}

	ACRValues []string // in which people can sign in

	// Origins whose pages may call the endpoints for browser apps; "*" is any.
	Origins []string
}

// Handler serves the protocol endpoints.
type Handler struct {
	cfg  Config
	path string // of the issuer, without a terminating slash

	// life ends when the server drains. It is the server's context, not a request's.
	life context.Context
}

// New returns a Handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	u, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, err
	}
	life := context.Background()
	if cfg.Stopping != nil {
		var drain context.CancelFunc
		life, drain = context.WithCancel(life)
		go func() {
			<-cfg.Stopping
			drain()
		}()
	}
	return &Handler{cfg, strings.TrimSuffix(u.Path, "/"), life}, nil
}

// Mount adds the routes.
func (h *Handler) Mount(mux *http.ServeMux) {
	h.route(mux, h.path+"/token", public, h.token, http.MethodPost)
	h.route(mux, h.path+"/mint", private, h.mint, http.MethodPost)
	h.route(mux, h.path+"/introspect", private, h.introspect, http.MethodPost)
	h.route(mux, h.path+"/revoke", public, h.revoke, http.MethodPost)
	h.route(mux, h.path+"/userinfo", public, h.userinfo, http.MethodGet, http.MethodPost)
	h.route(mux, h.path+"/registry/check", private, h.registryCheck, http.MethodPost)
	h.route(mux, h.path+"/network", private, h.network, http.MethodPost)
	h.route(mux, h.path+"/consume", private, h.consume, http.MethodPost)
	h.route(mux, h.path+"/revocations", private, h.revocations, http.MethodGet)
	h.route(mux, h.path+"/jwks", document, h.jwks, http.MethodGet, http.MethodHead)
	for _, path := range h.metadataPaths() {
		h.route(mux, path, document, h.metadata, http.MethodGet, http.MethodHead)
	}
}

// handlerFunc decodes, calls, encodes. What it returns is translated by fail.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

// access says whether browser code of other origins may call an endpoint
// (SPECS GEN-10). Never with credentials.
type access int

const (
	private  access = iota // no browser code
	public                 // of the configured origins
	document               // of any: the same for everyone, without credentials
)

// route mounts one endpoint for exactly the given methods; others get 405 with
// Allow (GEN-5).
func (h *Handler) route(mux *http.ServeMux, path string, who access, serve handlerFunc, methods ...string) {
	allow := strings.Join(methods, ", ")
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if who != private && h.preflight(w, r, who, allow) {
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !slices.Contains(methods, r.Method) {
			w.Header().Set("Allow", allow)
			h.fail(w, r, errMethod)
			return
		}
		if err := serve(w, r); err != nil {
			h.fail(w, r, err)
		}
	})
}

// preflight adds the CORS headers of endpoints that browser apps call, and
// answers OPTIONS.
func (h *Handler) preflight(w http.ResponseWriter, r *http.Request, who access, allow string) bool {
	switch origin := r.Header.Get("Origin"); {
	case who == document || slices.Contains(h.cfg.Origins, "*"):
		w.Header().Set("Access-Control-Allow-Origin", "*")
	default:
		w.Header().Add("Vary", "Origin")
		if origin == "" || !slices.Contains(h.cfg.Origins, origin) {
			break
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
	}
	w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce, Retry-After, Jeton-Reason")
	if r.Method != http.MethodOptions {
		return false
	}
	w.Header().Set("Access-Control-Allow-Methods", allow)
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// authenticate identifies the calling client by the credentials in the request.
func (h *Handler) authenticate(ctx context.Context, r *http.Request, form url.Values) (authority.Client, error) {
	credentials, err := clients.ParseCredentials(r.Header.Values("Authorization"), form)
	if err != nil {
		return authority.Client{}, err
	}
	addr, _ := h.cfg.Caller(r)
	return h.cfg.Clients.Authenticate(ctx, credentials, addr)
}
