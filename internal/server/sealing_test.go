package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
)

// Both rotations while tokens are issued and checked: nothing fails, everything
// ends up sealed under the last data key, and the new master key is enough.
func TestSealing_RotationUnderLoad(t *testing.T) {
	next := secret.New(base64.StdEncoding.EncodeToString(secret.Bytes(32)))
	w := newWorld(t, options{edit: func(c *config.Config) { c.SealingKeyPrevious, c.SealingKey = c.SealingKey, next }})
	w.remember("sealing key", next.Reveal())
	w.shares("fleet")
	w.sealedWebhook()
	var done atomic.Bool
	var issued atomic.Int64
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for !done.Load() {
				w.wantAlive("a token", w.machine())
				issued.Add(1)
				if err := w.parts.Keys.Reload(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	before, err := w.operator().Sealing(t.Context())
	must(t, err)
	total := before.DataKeys[0].Values
	for range 5 {
		_, err := w.operator().RotateSealing(t.Context(), "")
		must(t, err)
		_, err = w.operator().RewrapSealing(t.Context(), "")
		must(t, err)
	}
	var after adminclient.Sealing
	eventually(t, "everything is sealed again", 20*time.Second, func() bool {
		after, err = w.operator().Sealing(t.Context())
		must(t, err)
		old := after.DataKeys[:len(after.DataKeys)-1]
		return after.Direct == 0 && !slices.ContainsFunc(old, func(k adminclient.DataKey) bool { return k.Values > 0 })
	})
	done.Store(true)
	work.Wait()
	if got := after.DataKeys[len(after.DataKeys)-1].Values; got < total {
		t.Errorf("%d values are sealed, %d were before", got, total)
	}
	for _, v := range w.sealedValues() {
		if _, err := w.parts.Sealer.Open(v.Sealed, v.Place); err != nil {
			t.Errorf("%s: %v", v.Place, err)
		}
	}
	if issued.Load() == 0 {
		t.Error("there was no load")
	}
	if len(after.DataKeys) != 6 || len(after.Masters) != 2 {
		t.Errorf("%d data keys and %d master keys, want 6 and 2", len(after.DataKeys), len(after.Masters))
	}
	for _, k := range after.DataKeys {
		if k.Master != after.Masters[0] || k.Master == before.DataKeys[0].Master {
			t.Errorf("data key %s is wrapped by %s, want the new master key", k.ID, k.Master)
		}
	}
	kid := header(t, w.machine()).Kid
	w.stop()
	cfg := w.config
	cfg.SealingKeyPrevious = secret.Value{}
	again, err := server.Open(t.Context(), cfg, server.Options{Logger: w.logger, Now: w.clock.Now})
	must(t, err)
	if k, err := again.Parts().Keys.SharedSigner("fleet"); err != nil || k.ID() != kid {
		t.Errorf("with the new master key alone: %v", err)
	}
	must(t, again.Close())
	cfg.SealingKey = sealing()
	if s, err := server.Open(t.Context(), cfg, server.Options{Logger: w.logger, Now: w.clock.Now}); err == nil {
		t.Error("the old master key still opens")
		must(t, s.Close())
	}
}

// sealedWebhook makes one that is told of nothing, and returns its secret.
func (w *world) sealedWebhook() string {
	w.t.Helper()
	issued, err := w.operator().PutWebhook(w.t.Context(), adminclient.NewWebhook{WebhookSpec: adminclient.WebhookSpec{
		Name: "siem", URL: "https://siem.example.com/hook", Events: []string{"policy_set"},
	}}, "")
	must(w.t, err)
	w.remember("webhook secret", issued.Secret)
	return issued.Secret
}

func (w *world) sealedValues() []authority.SealedValue {
	w.t.Helper()
	var all []authority.SealedValue
	for after := ""; ; {
		values, next, err := w.parts.Store.Sealed(w.t.Context(), after, 1000)
		must(w.t, err)
		if all = append(all, values...); next == "" {
			return all
		}
		after = next
	}
}

// Neither the database nor the log holds a private key, a shared secret, a data
// key, the sealing key or the admin token in clear, in any usual form.
func TestSealing_NothingInClear(t *testing.T) {
	previous := secret.Token("jat_")
	w := newWorld(t, options{edit: func(c *config.Config) { c.Manage.AdminTokenPrevious = previous }})
	w.remember("previous admin token", previous.Reveal())
	path := w.shares("fleet")
	webhook := w.sealedWebhook()
	w.machine()
	w.signedIn("web", scope("openid", "offline_access"))
	must(t, (&adminclient.Client{BaseURL: w.manage, Token: previous.Reveal()}).CreateRing(t.Context(), "other", ""))
	_, err := w.operator().RotateSealing(t.Context(), "")
	must(t, err)
	_, err = w.operator().RewrapSealing(t.Context(), "")
	must(t, err)

	type needle struct {
		what string
		text []byte
	}
	var needles []needle
	add := func(what string, raw []byte) {
		if len(raw) < 16 {
			t.Fatalf("%s has %d bytes", what, len(raw))
		}
		needles = append(needles, needle{what, raw},
			needle{what + " in base64", []byte(base64.RawStdEncoding.EncodeToString(raw))},
			needle{what + " in base64url", []byte(base64.RawURLEncoding.EncodeToString(raw))},
			needle{what + " in hex", []byte(hex.EncodeToString(raw))})
		watched.Secret(what, base64.RawURLEncoding.EncodeToString(raw))
		watched.Secret(what, base64.StdEncoding.EncodeToString(raw))
	}
	for _, ring := range []string{authority.RingAccess, authority.RingID, authority.RingRefresh, authority.RingFlow, "fleet", "other"} {
		for _, k := range w.parts.Keys.Usable(ring) {
			private, err := k.MarshalPrivate()
			must(t, err)
			var members map[string]string
			must(t, json.Unmarshal(private, &members))
			for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
				if text := members[name]; text != "" {
					raw, err := base64.RawURLEncoding.DecodeString(text)
					must(t, err)
					add("member "+name+" of a key of ring "+ring, raw)
				}
			}
		}
	}
	masters, err := w.config.Masters()
	must(t, err)
	master, err := config.MasterKey(w.config.SealingKey)
	must(t, err)
	add("sealing key", master)
	networks, err := w.parts.Store.NetworkKey(t.Context())
	must(t, err)
	if len(networks.Clear) > 0 {
		t.Error("the key of the digests of networks is stored in clear")
	}
	raw, err := w.parts.Sealer.Open(networks.Sealed, authority.NetworkKeyPlace)
	must(t, err)
	add("key of the digests of networks", raw)
	stored, err := w.parts.Store.DataKeys(t.Context())
	must(t, err)
	for _, k := range stored {
		key, err := masters[0].Unwrap(t.Context(), k.ID, seal.Wrapped{Master: k.Master, Key: k.Wrapped})
		must(t, err)
		add("data key", []byte(key.Key.Reveal()))
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(webhook, adminclient.WebhookSecretPrefix))
	must(t, err)
	add("webhook secret", text)
	places := ""
	for _, v := range w.sealedValues() {
		places += v.Place + "\n"
	}
	for _, table := range []string{"key/access/", "key/fleet/", "webhook_secrets/"} {
		if !strings.Contains(places, table) {
			t.Errorf("nothing of %s is sealed", table)
		}
	}
	needles = append(needles, needle{"admin token", []byte(w.admin)}, needle{"previous admin token", []byte(previous.Reveal())})
	exported, err := os.ReadFile(path)
	must(t, err)
	if len(needles) < 20 {
		t.Fatalf("only %d needles", len(needles))
	}
	w.stop()
	dump, err := os.ReadFile(w.file)
	must(t, err)
	log := []byte(w.log.String())
	for _, n := range needles {
		if bytes.Contains(dump, n.text) {
			t.Errorf("the database holds in clear: %s", n.what)
		}
		if bytes.Contains(log, n.text) {
			t.Errorf("the log holds in clear: %s", n.what)
		}
	}
	// The needles are what they should be: the exported file has one.
	found := false
	for _, n := range needles {
		found = found || n.what == "member k of a key of ring fleet in base64url" && bytes.Contains(exported, n.text)
	}
	if !found {
		t.Error("the search would not have found the secret in the exported file")
	}
}

// Two admin tokens work while one is replaced.
func TestAdminToken_Previous(t *testing.T) {
	previous := secret.Token("jat_")
	w := newWorld(t, options{edit: func(c *config.Config) { c.Manage.AdminTokenPrevious = previous }})
	w.remember("previous admin token", previous.Reveal())
	for token, ok := range map[string]bool{w.admin: true, previous.Reveal(): true, secret.Token("jat_").Reveal(): false, "": false} {
		_, err := (&adminclient.Client{BaseURL: w.manage, Token: token}).Resources(t.Context())
		if (err == nil) != ok {
			t.Errorf("got %v, want it to work: %v", err, ok)
		}
	}
}
