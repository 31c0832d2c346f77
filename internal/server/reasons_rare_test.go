package server_test

import (
	"database/sql"
	"net/http"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/oauth"
)

// rareReasons provokes the reasons that need a server, a client or a place of
// their own.
var rareReasons = map[string]func(t *testing.T) answer{
	string(oauth.TemporarilyUnavailable): func(t *testing.T) answer {
		w := newWorld(t, options{})
		w.change(`ALTER TABLE keys RENAME TO elsewhere`)
		w.clock.advance(24 * time.Hour) // what the node has read of its keys is too old now
		return w.get("/jwks")
	},
	string(oauth.ServerError): func(t *testing.T) answer {
		w := newWorld(t, options{})
		code := w.code("web")
		w.change(`DROP TABLE codes`)
		return w.redeem("web", code)
	},
	oauth.ReasonWrongKey: func(t *testing.T) answer {
		w := newWorld(t, options{})
		first := w.redeemWith("spa", w.code("spa"), w.prover().token()).ok()
		return w.refreshWith("spa", first.text("refresh_token"), w.prover().token())
	},
	string(oauth.InvalidDPoPProof): func(t *testing.T) answer {
		w := newWorld(t, options{})
		proof := w.prover().token()
		w.askWith("machine", []string{proof}, "grant_type", "client_credentials").ok()
		return w.askWith("machine", []string{proof}, "grant_type", "client_credentials")
	},
	string(oauth.UseDPoPNonce): func(t *testing.T) answer {
		w := newWorld(t, options{edit: func(c *config.Config) { c.Tokens.DPoPNonce = config.Required }})
		return w.askWith("machine", []string{w.prover().token()}, "grant_type", "client_credentials")
	},
	oauth.ReasonWrongNetwork: func(t *testing.T) answer {
		w, move := travelling(t, options{})
		w.moving(clients.Spec{IP: authority.IPEnforce, IPRefresh: true})
		a := w.signedIn("moving").ok()
		move(theft)
		return w.refresh("moving", a.text("refresh_token"))
	},
	oauth.ReasonRefreshShared: func(t *testing.T) answer {
		w, move := travelling(t, options{})
		w.moving(clients.Spec{RevokeShared: true})
		a := w.signedIn("moving").ok()
		for range 3 {
			old := a.text("refresh_token")
			move(atHome)
			if a = w.refresh("moving", old); a.status != http.StatusOK {
				break
			}
			move(theft)
			w.refresh("moving", old)
		}
		move(atHome)
		return w.refresh("moving", a.text("refresh_token"))
	},
	oauth.ReasonRefreshAhead: func(t *testing.T) answer {
		w := newWorld(t, options{runs: true})
		first := w.signedIn("web")
		backup := w.backup()
		second := w.refresh("web", first.text("refresh_token")).ok()
		third := w.refresh("web", second.text("refresh_token")).ok()
		w.returnTo(backup)
		return w.refresh("web", third.text("refresh_token"))
	},
	oauth.ReasonKeyReused: func(t *testing.T) answer {
		w := newWorld(t, options{})
		w.minter("minter", authority.MintPolicy{Subjects: authority.MintOwn})
		batch := func(body string) answer {
			r := w.request(http.MethodPost, "/mint", body)
			r.Header.Set("Content-Type", "application/json")
			r.Header["Authorization"] = w.form("/mint", "minter").Header["Authorization"]
			r.Header.Set("Idempotency-Key", "batch-1")
			return w.do(r)
		}
		batch(`[{}]`)
		return batch(`[{"scope": "write"}]`)
	},
}

// moving registers a client whose people move.
func (w *world) moving(s clients.Spec) {
	w.t.Helper()
	s.ID, s.GrantTypes = "moving", []string{oauth.AuthorizationCode, oauth.RefreshToken}
	s.RedirectURIs, s.Scope, s.Audience = []string{"https://m.example.com/cb"}, everything, api
	w.client(s)
}

// change changes the database behind the server's back.
func (w *world) change(statement string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.file)
	must(w.t, err)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(w.t.Context(), statement)
	must(w.t, err)
}
