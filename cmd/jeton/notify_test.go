package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/oauth"
)

// inbox is a receiver of webhooks outside of the process under test. While it is
// asked to, it keeps requests open and answers nothing.
type inbox struct {
	*httptest.Server
	secret string

	mu       sync.Mutex
	silent   bool           // guarded by mu, as are the fields below
	asked    int            // requests that were left without an answer
	messages map[string]int // how often each id was taken
	types    map[string]int // by type
	faults   []error
}

func newInbox(t *testing.T, key string) *inbox {
	in := &inbox{secret: key, messages: make(map[string]int), types: make(map[string]int)}
	over := make(chan struct{})
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		in.mu.Lock()
		if in.silent {
			in.asked++
			in.mu.Unlock()
			select {
			case <-over:
			case <-r.Context().Done():
			}
			return
		}
		defer in.mu.Unlock()
		var m admin.WebhookMessage
		if err := json.Unmarshal(body, &m); err != nil {
			in.faults = append(in.faults, err)
		}
		if err := admin.VerifyWebhook([]string{in.secret}, r.Header, body, time.Now(), time.Minute); err != nil {
			in.faults = append(in.faults, err)
		}
		in.messages[m.ID]++
		in.types[m.Type]++
	}))
	t.Cleanup(in.Close)
	t.Cleanup(func() { close(over) })
	return in
}

func (in *inbox) be(silent bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.silent = silent
}

func (in *inbox) count() (asked, messages int, faults []error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.asked, len(in.messages), in.faults
}

// Killed after it took a delivery and before it could say that it was sent, the
// server sends it once it runs again; and nothing that happened while the
// receiver was silent is missing.
func TestKill_DeliveriesArrive(t *testing.T) {
	dir, public, manage := t.TempDir(), freeAddress(t), freeAddress(t)
	key := admin.WebhookSecretPrefix + base64.StdEncoding.EncodeToString([]byte(newKey())[:32])
	watched.Secret("webhook secret", key)
	in := newInbox(t, key)
	machine := config.DevClient{ID: "machine", Secret: "of-the-machine-" + newKey()}
	put(t, dir, "machine.secret", machine.Secret)
	put(t, dir, "hook.secret", key)
	put(t, dir, "sealing.key", newKey())
	token := newKey()
	put(t, dir, "admin.token", token)
	file := put(t, dir, "jeton.yaml", fmt.Sprintf(`
issuer: http://%[1]s
listen: {address: %[1]s}
manage: {address: %[2]s, admin_token_file: %[3]s/admin.token}
store: {url: "sqlite:%[3]s/jeton.db"}
sealing_key_file: %[3]s/sealing.key
notify: {timeout: 700ms}
provision:
  clients:
    - {id: machine, grant_types: [client_credentials], audience: https://api.example.com, secret_file: %[3]s/machine.secret}
  webhooks:
    - {name: siem, url: %[4]s, events: [policy_set, resource_*], allow_private: true, secret_file: %[3]s/hook.secret}
`, public, manage, dir, in.URL))
	binary := build(t)
	start := func() *process {
		p := launch(t, binary, nil, "serve", "--config", file)
		p.eventually("ready", func() bool { return answers(t, http.DefaultClient, "http://"+manage+"/readyz") == http.StatusOK })
		return p
	}
	p := start()
	op := &admin.Client{BaseURL: "http://" + manage, Token: token}
	in.be(true)
	const events = 20
	for i := range events {
		if _, err := op.PutResource(t.Context(), admin.NewResource{ResourceSpec: admin.ResourceSpec{Audience: fmt.Sprintf("https://%d.example.com", i), ClientID: "machine"}}, ""); err != nil {
			t.Fatal(err)
		}
	}
	p.eventually("an attempt under way", func() bool { asked, _, _ := in.count(); return asked > 0 })
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.end()

	in.be(false)
	began := time.Now()
	p = start()
	p.eventually("every message", func() bool { _, n, _ := in.count(); return n == events })
	t.Logf("%d messages within %v of the restart", events, time.Since(began).Round(time.Millisecond))
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("it took %v", took)
	}
	p.eventually("an empty outbox", func() bool {
		list, err := op.Deliveries(t.Context(), admin.DeliveryFilter{State: "pending"}, admin.Page{})
		return err == nil && len(list.Items) == 0
	})
	if _, _, faults := in.count(); len(faults) > 0 {
		t.Error(faults)
	}
	resp, err := http.DefaultClient.Do(request(t.Context(), "http://"+public+"/token", machine, url.Values{"grant_type": {oauth.ClientCredentials}}))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	p.wantStopped()
	if strings.Contains(p.log.String(), key) {
		t.Error("the secret is in the log")
	}
}
