package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/flow"
	"github.com/jetonhq/jeton/internal/secret"
)

// Accounts is what the pages ask of people's accounts.
type Accounts interface {
	SignIn(ctx context.Context, in accounts.SignIn) (accounts.SignedIn, error)
	Session(ctx context.Context, cookie string, seen authority.Context) (authority.Session, authority.Account, error)
	SignOut(ctx context.Context, s authority.Session, from authority.Context) error
	Apps(ctx context.Context, account secret.ID) ([]accounts.App, error)
	WithdrawConsent(ctx context.Context, actor authority.Actor, account secret.ID, client, reason string, from authority.Context) error
}

// Config is what the pages need. Issuer, Flow, Accounts, NotMe
// and Addr are required.
type Config struct {
	Issuer   string // an absolute URL; pages live below its path
	Flow     *flow.Flow
	Accounts Accounts
	NotMe    NotMe
	// Addr is the client's address, behind whatever proxies are trusted.
	Addr func(*http.Request) netip.Addr
	// RequestID names the request in the log; error pages show it. "" shows none.
	RequestID func(context.Context) string
	Name      string            // what the place is called; default the issuer's host
	Scopes    map[string]string // plain words for scopes, continuing "it will be able to …"
	// RefreshAbsolute is how long an app keeps access at most, where its
	// registration does not say; default 90 days.
	RefreshAbsolute time.Duration
	Logger          *slog.Logger // default: discards
}

// Handler serves the pages.
type Handler struct {
	cfg    Config
	prefix string // path of the issuer, "" or "/t1"
	secure bool   // the issuer is https
	guard  *http.CrossOriginProtection
	pages  pages
	style  string // file name of the stylesheet
}

// New checks c and prepares the pages.
func New(c Config) (*Handler, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("web: the issuer is not an http or https URL")
	}
	if c.Flow == nil || c.Accounts == nil || c.NotMe == nil || c.Addr == nil {
		return nil, errors.New("web: Flow, Accounts, NotMe and Addr are required")
	}
	if c.Name == "" {
		c.Name = u.Host
	}
	if c.RefreshAbsolute == 0 {
		c.RefreshAbsolute = 90 * 24 * time.Hour
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.RequestID == nil {
		c.RequestID = func(context.Context) string { return "" }
	}
	h := &Handler{
		cfg:    c,
		prefix: strings.TrimSuffix(u.EscapedPath(), "/"),
		secure: u.Scheme == "https",
		guard:  http.NewCrossOriginProtection(),
		style:  styleName(),
	}
	if h.pages, err = loadPages(); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return h, nil
}

// Mount adds the pages to mux, below the issuer's path.
func (h *Handler) Mount(mux *http.ServeMux) {
	// Posted to from other sites by design; both only redirect to a GET of
	// themselves (OAuth 2.1 section 3.1, RP-Initiated Logout section 2).
	h.handle(mux, "GET /authorize", h.authorize)
	h.handle(mux, "POST /authorize", h.authorizePost)
	h.handle(mux, "GET /end_session", h.endSession)
	h.handle(mux, "POST /end_session", h.endSessionPost)

	h.handle(mux, "GET /authorize/resume", h.resume)
	h.handle(mux, "GET /signin", h.signIn)
	h.handle(mux, "POST /signin", h.sameOrigin(h.signInPost))
	h.handle(mux, "GET /select", h.selectAccount)
	h.handle(mux, "POST /select", h.sameOrigin(h.selectAccountPost))
	h.handle(mux, "GET /consent", h.consent)
	h.handle(mux, "POST /consent", h.sameOrigin(h.consentPost))
	h.handle(mux, "GET /signout", h.signOut)
	h.handle(mux, "POST /signout", h.sameOrigin(h.signOutPost))
	h.handle(mux, "GET /signed-out", h.signedOut)
	h.handle(mux, "GET /not-me", h.notMe)
	h.handle(mux, "POST /not-me", h.sameOrigin(h.notMePost))
	h.handle(mux, "GET /{$}", h.home)
	h.handle(mux, "POST /withdraw", h.sameOrigin(h.withdraw))
	if h.prefix != "" {
		mux.Handle("GET "+h.prefix, h.page(h.home))
	}
	mux.HandleFunc("GET "+h.prefix+"/assets/{name}", h.asset)
}

func (h *Handler) handle(mux *http.ServeMux, pattern string, f handlerFunc) {
	method, path, _ := strings.Cut(pattern, " ")
	mux.Handle(method+" "+h.prefix+path, h.page(f))
}

// handlerFunc answers a request, or returns why it cannot.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

// page sets the headers that every page has, and shows the page for an error.
func (h *Handler) page(f handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.setHeaders(w.Header())
		if err := f(w, r); err != nil {
			h.showError(w, r, err)
		}
	})
}

// sameOrigin refuses posts that another site's page made (SPECS HT-3). What it
// protects changes state; the session cookie's SameSite is the second lock.
func (h *Handler) sameOrigin(f handlerFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := h.guard.Check(r); err != nil {
			return &flow.Problem{
				Status: http.StatusForbidden,
				Title:  "This form came from another site",
				Text:   "To keep your account safe, we only accept forms that were filled in here.",
				Cause:  err,
			}
		}
		return f(w, r)
	}
}
