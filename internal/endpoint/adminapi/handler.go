// Package adminapi serves the admin API, whose types and Go client are package
// admin. A handler decodes the request, calls the package that owns the noun,
// and encodes the answer; it returns an error, and errors.go is the only place
// that knows which status an error has.
//
// Everything here needs the admin token, and belongs on the management
// listener. A secret that is made is shown once, in the answer to the call that
// made it.
package adminapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/accounts"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/feed"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/internal/mail"
	"github.com/jetonhq/jeton/internal/mint"
	"github.com/jetonhq/jeton/internal/notify"
	"github.com/jetonhq/jeton/internal/policies"
	"github.com/jetonhq/jeton/internal/provision"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
)

// Config holds what the admin API calls. All but Feed, Mail, Logger and Now are required.
type Config struct {
	Token      secret.Value // the admin token
	Previous   secret.Value // the one before it, which works as well; may be empty
	Sealing    *seal.Service
	Keys       *keys.Rings
	Feed       *feed.Feed // who follows it; may be nil
	Accounts   *accounts.Service
	Clients    *clients.Service
	Tokens     *tokens.Service
	Mint       *mint.Service
	Provision  *provision.Service
	Policies   *policies.Service
	Webhooks   *notify.Webhooks
	Notify     *notify.Service
	Deliveries authority.DeliveryStore
	Grants     authority.GrantStore
	Events     authority.EventStore
	Mail       *mail.Channel    // nil: there is no mail server
	Examined   Examined         // the server itself
	Logger     *slog.Logger     // default: discards
	Now        func() time.Time // default time.Now
}

type handler struct {
	cfg    Config
	tokens [][32]byte // digests of the admin tokens

	copying sync.Mutex // held while a backup is made
}

// operator is who acts through the admin API: whoever holds its token.
func operator() authority.Actor { return authority.Actor{Kind: "admin", ID: "admin_token"} }

// New returns a handler for everything below /admin/v1/.
func New(cfg Config) (http.Handler, error) {
	if cfg.Token.Empty() {
		return nil, errors.New("adminapi: an admin token is required")
	}
	if cfg.Sealing == nil || cfg.Keys == nil || cfg.Accounts == nil || cfg.Clients == nil || cfg.Tokens == nil || cfg.Provision == nil || cfg.Policies == nil || cfg.Grants == nil || cfg.Events == nil {
		return nil, errors.New("adminapi: Sealing, Keys, Accounts, Clients, Tokens, Provision, Policies, Grants and Events are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &handler{cfg: cfg}
	for _, token := range []secret.Value{cfg.Token, cfg.Previous} {
		if !token.Empty() {
			h.tokens = append(h.tokens, secret.Digest(token.Reveal()))
		}
	}
	mux := http.NewServeMux()
	for route, serve := range h.routes() {
		method, path, _ := strings.Cut(route, " ")
		mux.Handle(method+" /admin/v1/"+path, h.serve(serve))
	}
	mux.Handle("/", h.serve(func(http.ResponseWriter, *http.Request) error { return errNoCall }))
	return h.authenticated(mux), nil
}

func (h *handler) routes() map[string]call {
	return map[string]call{
		"POST accounts":                   h.createAccount,
		"GET accounts":                    h.listAccounts,
		"GET accounts/{account}":          h.showAccount,
		"PATCH accounts/{account}":        h.updateAccount,
		"POST accounts/{account}/disable": h.disableAccount,
		"POST accounts/{account}/enable":  h.enableAccount,

		"POST accounts/{account}/password":     h.setPassword,
		"POST accounts/{account}/end-sessions": h.endSessions,

		"GET accounts/{account}/consents":             h.listConsents,
		"DELETE accounts/{account}/consents/{client}": h.withdrawConsent,

		"POST clients":                    h.createClient,
		"GET clients":                     h.listClients,
		"GET clients/{id}":                h.showClient,
		"PUT clients/{id}":                h.updateClient,
		"POST clients/{id}/rotate-secret": h.rotateSecret,
		"DELETE clients/{id}":             h.deleteClient,

		"GET resources":               h.listResources,
		"PUT resources/{audience}":    h.putResource,
		"DELETE resources/{audience}": h.deleteResource,

		"GET policies":           h.listPolicies,
		"GET policies/{name}":    h.showPolicy,
		"PUT policies/{name}":    h.putPolicy,
		"DELETE policies/{name}": h.deletePolicy,
		"GET policy-test":        h.testPolicies,

		"GET webhooks":                       h.listWebhooks,
		"GET webhooks/{name}":                h.showWebhook,
		"PUT webhooks/{name}":                h.putWebhook,
		"DELETE webhooks/{name}":             h.deleteWebhook,
		"POST webhooks/{name}/rotate-secret": h.rotateWebhook,
		"POST webhooks/{name}/test":          h.testWebhook,

		"GET deliveries":             h.listDeliveries,
		"GET deliveries/{id}":        h.showDelivery,
		"POST deliveries/{id}/retry": h.retryDelivery,

		"GET sessions":           h.listSessions,
		"POST sessions/{id}/end": h.endSession,
		"GET grants":             h.listGrants,
		"POST grants/{id}/end":   h.endGrant,
		"POST tokens/explain":    h.explainToken,
		"POST tokens/revoke":     h.revokeToken,
		"GET events":             h.listEvents,

		"GET mint-requests":               h.listMintRequests,
		"POST mint-requests/{id}/approve": h.approveMint,
		"POST mint-requests/{id}/deny":    h.denyMint,

		"GET keys":                  h.listKeys,
		"GET keys/{id}":             h.showKey,
		"GET keys/{id}/guards":      h.showHolders,
		"POST keys/{id}/activate":   h.activateKey,
		"POST keys/{id}/retire":     h.retireKey,
		"POST keys/{id}/compromise": h.compromiseKey,
		"POST rings/{ring}/stage":   h.stageKey,
		"POST rings/{ring}/rotate":  h.rotateKey,
		"POST rings/{ring}/import":  h.importKey,

		"PUT rings/{ring}":         h.createRing,
		"POST rings/{ring}/export": h.exportRing,

		"GET sealing":         h.showSealing,
		"POST sealing/rewrap": h.rewrapSealing,
		"POST sealing/rotate": h.rotateSealing,

		"GET backup": h.backup,

		"GET diagnosis":   h.diagnose,
		"POST probes":     h.openProbe,
		"GET probes/{id}": h.showProbe,

		"POST mail/test": h.testMail,

		"POST apply": h.apply,
	}
}

// call decodes, calls, encodes. What it returns is translated by fail.
type call func(w http.ResponseWriter, r *http.Request) error

func (h *handler) serve(serve call) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			h.fail(w, r, err)
		}
	})
}

// authenticated stands before every route, so that none can forget it. Digests
// are compared, so that the time tells nothing about the token.
func (h *handler) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		digest := secret.Digest(given)
		known := false
		for _, token := range h.tokens {
			known = secret.Equal(digest[:], token[:]) || known
		}
		if !strings.EqualFold(scheme, "Bearer") || !known {
			h.fail(w, r, errUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// maxBody bounds a request. A document of thousands of clients is smaller.
const maxBody = 4 << 20

// decode reads the JSON body into v. What v does not know is refused: a
// misspelt setting must not be dropped in silence.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return badJSON(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return invalidf("the body has something after the JSON value")
	}
	return nil
}

// badJSON describes a body that cannot be read without repeating its values.
func badJSON(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalidf("the body's %q has another type than %s", e.Field, e.Type)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalidf("the body has the unknown field %s", name)
	}
	return invalidf("the body is not the JSON this call wants")
}

func answer(w http.ResponseWriter, status int, body any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(encoded)
	return nil
}

func done(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// maxReason is generous for a sentence and a ticket's number.
const maxReason = 500

// reason is why a change is made: for the audit trail, and for what ends.
func reason(r *http.Request) (string, error) {
	text := r.Header.Get(admin.ReasonHeader)
	switch {
	case text == "":
		return "by an administrator", nil
	case len(text) > maxReason:
		return "", invalidf("%s is longer than %d bytes", admin.ReasonHeader, maxReason)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "", invalidf("%s is not printable UTF-8", admin.ReasonHeader)
	}
	return text, nil
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

func page(r *http.Request) (authority.Page, error) {
	p := authority.Page{After: r.URL.Query().Get("after"), Limit: defaultLimit}
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return p, invalidf("limit is 1 to %d", maxLimit)
		}
		p.Limit = n
	}
	return p, nil
}

// answerPage writes a page. A full one may have another after it.
func answerPage[Record, Wire any](w http.ResponseWriter, p authority.Page, records []Record, wire func(Record) Wire, key func(Record) string) error {
	list := admin.List[Wire]{Items: make([]Wire, 0, len(records))}
	for _, record := range records {
		list.Items = append(list.Items, wire(record))
	}
	if len(records) > 0 && len(records) >= p.Limit {
		list.Next = key(records[len(records)-1])
	}
	return answer(w, http.StatusOK, list)
}

// pathID reads the {id} of a session or grant.
func pathID(r *http.Request) (secret.ID, error) {
	id, err := secret.ParseID(r.PathValue("id"))
	if err != nil {
		return secret.ID{}, fmt.Errorf("%w: the path holds no id", authority.ErrNotFound)
	}
	return id, nil
}
