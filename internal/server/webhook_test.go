package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
)

// receiver is somebody's endpoint: it answers each request, and keeps what came.
type receiver struct {
	*httptest.Server
	world  *world
	answer func(http.ResponseWriter, *http.Request)

	mu  sync.Mutex
	got []received // guarded by mu
}

type received struct {
	header http.Header
	body   []byte
}

// receiver starts one that takes everything.
func (w *world) receiver() *receiver {
	r := &receiver{world: w, answer: func(http.ResponseWriter, *http.Request) {}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.got = append(r.got, received{in.Header.Clone(), body})
		answer := r.answer
		r.mu.Unlock()
		in.Body = io.NopCloser(bytes.NewReader(body))
		answer(out, in)
	}))
	w.t.Cleanup(r.Close)
	return r
}

// answers changes how the receiver answers from now on.
func (r *receiver) answers(answer func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (r *receiver) messages() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// await returns what came once there are so many. The clock of the world moves
// on by step while it waits, if it is given one.
func (r *receiver) await(n int, step ...time.Duration) []received {
	r.world.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if got := r.messages(); len(got) >= n {
			return got
		}
		if time.Now().After(deadline) {
			r.world.t.Fatalf("%d messages came, want %d", len(r.messages()), n)
		}
		for _, d := range step {
			r.world.clock.advance(d)
		}
	}
}

func (r received) message(t testing.TB) adminclient.WebhookMessage {
	t.Helper()
	var m adminclient.WebhookMessage
	must(t, json.Unmarshal(r.body, &m))
	return m
}

// webhook registers the receiver for events, and returns its secret.
func (w *world) webhook(name, url string, events ...string) string {
	w.t.Helper()
	issued, err := w.operator().PutWebhook(w.t.Context(), adminclient.NewWebhook{
		WebhookSpec: adminclient.WebhookSpec{Name: name, URL: url, Events: events, AllowPrivate: true},
	}, "test")
	must(w.t, err)
	w.remember("secret of webhook "+name, issued.Secret)
	return issued.Secret
}

func (w *world) raise(kind authority.EventType) authority.Event {
	w.t.Helper()
	e := w.event(kind)
	must(w.t, w.parts.Store.AppendEvent(w.t.Context(), e))
	return e
}

// deliveries are those of a state, newest first, once there are n.
func (w *world) deliveries(state string, n int) []adminclient.Delivery {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		list, err := w.operator().Deliveries(w.t.Context(), adminclient.DeliveryFilter{State: state}, adminclient.Page{})
		must(w.t, err)
		if len(list.Items) == n {
			return list.Items
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%d deliveries %s, want %d: %+v", len(list.Items), state, n, list.Items)
		}
	}
}

// What a person does reaches the webhook that asked for it, signed, with the
// event's ids and nothing secret.
func TestWebhook_Delivered(t *testing.T) {
	w := newWorld(t, options{})
	w.clock.advance(time.Second) // what was there before the webhook is older than it
	hook := w.receiver()
	key := w.webhook("siem", hook.URL+"/in?token=x", "account_*", "grant_created")
	w.signedIn("web")
	_, err := w.parts.Accounts.Disable(t.Context(), admin(), w.person.ID, "left the company")
	must(t, err)

	got := hook.await(2)
	slices.SortFunc(got, func(a, b received) int { return -strings.Compare(a.message(t).Type, b.message(t).Type) })
	var types []string
	for _, r := range got {
		if err := adminclient.VerifyWebhook([]string{key}, r.header, r.body, w.clock.Now(), time.Second); err != nil {
			t.Error(err)
		}
		m := r.message(t)
		types = append(types, m.Type)
		if id := r.header.Get("Webhook-Id"); id != m.ID || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v of %s", r.header, m.ID)
		}
	}
	if want := []string{"grant_created", "account_disabled"}; !slices.Equal(types, want) {
		t.Errorf("got %v, want %v", types, want)
	}
	disabled := w.events(authority.EventAccountDisabled)[0]
	if m := got[1].message(t); m.ID != disabled.ID.String() || !m.Timestamp.Equal(disabled.At()) || m.Data.AccountID != w.person.Subject() ||
		m.Data.Reason != "left the company" || m.Data.Actor.Kind != "admin" {
		t.Errorf("got %+v of %+v", m, disabled)
	}
	w.deliveries("delivered", 2)
	metrics := w.get(w.manage + "/metrics").ok().body
	for _, line := range []string{`jeton_deliveries_total{channel="webhook",outcome="delivered"} 2`, "jeton_deliveries_pending 0", "jeton_deliveries_oldest_seconds 0"} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s in the metrics", line)
		}
	}
}

// A receiver that is down gets everything once it is up again, and learns by the
// id what came twice.
func TestWebhook_DownAndUpAgain(t *testing.T) {
	w := newWorld(t, options{})
	hook := w.receiver()
	hook.answers(status(http.StatusServiceUnavailable))
	key := w.webhook("siem", hook.URL, "forged_token")
	var want []string
	for range 12 {
		want = append(want, w.raise(authority.EventForgedToken).ID.String())
	}
	hook.await(12, time.Second)
	hook.answers(func(http.ResponseWriter, *http.Request) {})
	up := len(hook.messages())
	began := w.clock.Now()
	seen := map[string]bool{}
	for len(seen) < len(want) {
		for _, r := range hook.await(up+1, time.Second)[up:] {
			up++
			seen[r.message(t).ID] = true
			// The time is of the attempt, so that receivers can refuse old ones.
			if err := adminclient.VerifyWebhook([]string{key}, r.header, r.body, w.clock.Now(), time.Minute); err != nil {
				t.Error(err)
			}
		}
	}
	for _, id := range want {
		if !seen[id] {
			t.Errorf("%s never came", id)
		}
	}
	if took := w.clock.Now().Sub(began); took > 15*time.Minute {
		t.Errorf("it took %v to catch up", took)
	}
	for _, d := range w.deliveries("delivered", len(want)) {
		if d.LastError != "" && d.LastError != "answered 503 Service Unavailable" {
			t.Errorf("last error %q", d.LastError)
		}
	}
}

// A target that never answers holds up nothing but itself.
func TestWebhook_DeadTargetDelaysNoOther(t *testing.T) {
	w := newWorld(t, options{edit: func(c *config.Config) { c.Notify.Timeout = 5 * time.Second }})
	dead, live := w.receiver(), w.receiver()
	gone := make(chan struct{})
	t.Cleanup(func() { close(gone) })
	dead.answers(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-gone:
		case <-r.Context().Done():
		}
	})
	w.webhook("a-dead", dead.URL, "*")
	w.webhook("b-live", live.URL, "forged_token")
	for range 40 {
		w.raise(authority.EventForgedToken)
	}
	dead.await(1)
	began := time.Now()
	live.await(40)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the live one waited %v", took)
	}
	if n := len(dead.messages()); n > 8 {
		t.Errorf("%d attempts at a time for one that does not answer", n)
	}
}

// 410 is the receiver's word that it wants no more.
func TestWebhook_GoneDisables(t *testing.T) {
	w := newWorld(t, options{})
	hook := w.receiver()
	hook.answers(status(http.StatusGone))
	w.webhook("siem", hook.URL, "forged_token")
	w.raise(authority.EventForgedToken)
	failed := w.deliveries("failed", 1)[0]
	if failed.LastError != "answered 410 Gone" || failed.Attempts != 1 {
		t.Errorf("got %+v", failed)
	}
	now, err := w.operator().Webhook(t.Context(), "siem")
	must(t, err)
	if !now.Disabled {
		t.Error("the webhook is not disabled")
	}
	w.wantEvents(authority.EventWebhookDisabled, 1)

	// What comes now waits until it is enabled again.
	hook.answers(func(http.ResponseWriter, *http.Request) {})
	e := w.raise(authority.EventForgedToken)
	if d := w.deliveries("pending", 1)[0]; d.EventID != e.ID.String() {
		t.Errorf("pending is %+v", d)
	}
	w.webhook("siem", hook.URL, "forged_token")
	hook.await(2, time.Second)
}

// For a while after a rotation both secrets sign.
func TestWebhook_RotationOverlap(t *testing.T) {
	w := newWorld(t, options{})
	hook := w.receiver()
	former := w.webhook("siem", hook.URL, "forged_token")
	issued, err := w.operator().RotateWebhookSecret(t.Context(), "siem", adminclient.WebhookRotation{Overlap: adminclient.Duration(time.Hour)}, "")
	must(t, err)
	w.remember("new secret", issued.Secret)
	if issued.Secret == "" || issued.Secret == former || len(issued.Webhook.Secrets) != 2 {
		t.Fatalf("got %d secrets", len(issued.Webhook.Secrets))
	}
	knows := func(r received, key string) bool {
		return adminclient.VerifyWebhook([]string{key}, r.header, r.body, w.clock.Now(), time.Minute) == nil
	}
	w.raise(authority.EventForgedToken)
	if r := hook.await(1)[0]; !knows(r, former) || !knows(r, issued.Secret) {
		t.Errorf("during the overlap: %s", r.header.Get("Webhook-Signature"))
	}
	w.clock.advance(time.Hour)
	w.raise(authority.EventForgedToken)
	if r := hook.await(2)[1]; knows(r, former) || !knows(r, issued.Secret) {
		t.Errorf("after it: %s", r.header.Get("Webhook-Signature"))
	}
	// The same again, with one's own secret: nothing changes, and nothing is shown.
	again, err := w.operator().PutWebhook(t.Context(), adminclient.NewWebhook{
		WebhookSpec: issued.Webhook.WebhookSpec, Secret: issued.Secret,
	}, "")
	must(t, err)
	if again.Secret != "" || again.Webhook.Version != issued.Webhook.Version {
		t.Errorf("got %+v", again.Webhook)
	}
}

// Nobody can have this server send where they cannot.
func TestWebhook_AddressesThatAreNotPublic(t *testing.T) {
	w := newWorld(t, options{})
	hook := w.receiver()
	put := func(name, url string, private bool) error {
		_, err := w.operator().PutWebhook(t.Context(), adminclient.NewWebhook{
			WebhookSpec: adminclient.WebhookSpec{Name: name, URL: url, Events: []string{"*"}, AllowPrivate: private},
		}, "")
		return err
	}
	for _, url := range []string{
		hook.URL, "http://example.com/", "https://127.0.0.1/", "https://[::1]/", "https://10.1.2.3/", "https://192.168.1.1/", "https://172.16.0.1/",
		"https://169.254.169.254/latest/meta-data", "https://[fe80::1]/", "https://[fd00::1]/", "https://[::ffff:127.0.0.1]/", "https://0.0.0.0/",
		"https://100.64.0.1/", "https://[64:ff9b::7f00:1]/", "https://user:pass@example.com/", "https://example.com/#x", "ftp://example.com/", "https://",
	} {
		if put("x", url, false) == nil {
			t.Errorf("%s was taken", url)
		}
	}
	for _, url := range []string{"http://10.1.2.3/", "http://example.com/"} {
		if put("x", url, true) == nil {
			t.Errorf("%s was taken", url)
		}
	}
	// A name that resolves to such an address is found out when it is dialled.
	must(t, put("name", strings.Replace(hook.URL, "http://127.0.0.1", "https://localhost", 1), false))
	test, err := w.operator().TestWebhook(t.Context(), "name")
	must(t, err)
	if test.Delivered || !strings.Contains(test.Error, "its address is not public") {
		t.Errorf("got %+v", test)
	}
	if n := len(hook.messages()); n > 0 {
		t.Errorf("%d messages came", n)
	}
}

func TestWebhook_FollowsNoRedirect(t *testing.T) {
	w := newWorld(t, options{})
	inside, hook := w.receiver(), w.receiver()
	hook.answers(func(out http.ResponseWriter, in *http.Request) {
		http.Redirect(out, in, inside.URL, http.StatusTemporaryRedirect)
	})
	w.webhook("siem", hook.URL, "forged_token")
	test, err := w.operator().TestWebhook(t.Context(), "siem")
	must(t, err)
	if test.Delivered || test.Error != "answered 307, and redirects are not followed" || len(inside.messages()) > 0 {
		t.Errorf("got %+v, and %d messages at the other", test, len(inside.messages()))
	}
	hook.answers(status(http.StatusNoContent))
	if test, err = w.operator().TestWebhook(t.Context(), "siem"); err != nil || !test.Delivered {
		t.Errorf("got %+v, %v", test, err)
	}
	if m := hook.await(2)[1].message(t); m.Type != "test" {
		t.Errorf("got %+v", m)
	}
}

// What never arrives is given up, which is an event, and can be tried again.
func TestDelivery_GivenUpAndRetried(t *testing.T) {
	w := newWorld(t, options{edit: func(c *config.Config) { c.Notify.GiveUp = 45 * time.Second }})
	hook, other := w.receiver(), w.receiver()
	hook.answers(status(http.StatusInternalServerError))
	w.webhook("siem", hook.URL, "forged_*", "delivery_failed")
	w.webhook("other", other.URL, "delivery_failed")
	e := w.raise(authority.EventForgedToken)
	for n := 1; n <= 3; n++ { // after 0, 5 and 20 s; the next would come after 65 s
		hook.await(n)
		for pause := time.Duration(0); n < 3 && pause == 0; {
			if pause = w.deliveries("pending", 1)[0].NextAt.Sub(w.clock.Now()); pause > 25*time.Second {
				pause = 0 // that is the lease: the attempt is not over
			}
			w.clock.advance(pause)
		}
	}
	failed := w.deliveries("failed", 1)[0]
	if took := failed.DoneAt.Sub(failed.CreatedAt); took < 15*time.Second || took > 25*time.Second || failed.Attempts != 3 {
		t.Errorf("given up after %v and %d attempts", took, failed.Attempts)
	}
	if m := other.await(1, time.Second)[0].message(t); m.Type != "delivery_failed" || m.Data.Data["target"] != "siem" || m.Data.Data["event"] != e.ID.String() {
		t.Errorf("the other was told %+v", m)
	}
	op := w.operator()
	shown, err := op.Delivery(t.Context(), failed.ID)
	must(t, err)
	if !strings.Contains(shown.Body, e.ID.String()) || shown.LastError != "answered 500 Internal Server Error" {
		t.Errorf("shown: %+v", shown)
	}
	hook.answers(func(http.ResponseWriter, *http.Request) {})
	must(t, op.RetryDelivery(t.Context(), failed.ID, "it is up again"))
	w.deliveries("delivered", 2)
	w.wantEvents(authority.EventDeliveryRetried, 1)
	last := hook.messages()
	if m := last[len(last)-1].message(t); m.ID != e.ID.String() || m.Type != "forged_token" {
		t.Errorf("the last message is %+v: nobody is told of its own failures", m)
	}
	if err := op.RetryDelivery(t.Context(), failed.ID, ""); err == nil {
		t.Error("a delivery that was delivered was tried again")
	}
}

func TestWebhook_Refused(t *testing.T) {
	w := newWorld(t, options{})
	good := adminclient.NewWebhook{WebhookSpec: adminclient.WebhookSpec{Name: "siem", URL: "https://example.com/", Events: []string{"*"}}}
	for what, edit := range map[string]func(*adminclient.NewWebhook){
		"a name with a space": func(n *adminclient.NewWebhook) { n.Name = "a b" },
		"no events":           func(n *adminclient.NewWebhook) { n.Events = nil },
		"a misspelt event":    func(n *adminclient.NewWebhook) { n.Events = []string{"signed_inn"} },
		"a pattern of none":   func(n *adminclient.NewWebhook) { n.Events = []string{"sessoin_*"} },
		"a pattern inside":    func(n *adminclient.NewWebhook) { n.Events = []string{"*_in"} },
		"a weak secret":       func(n *adminclient.NewWebhook) { n.Secret = "whsec_c2hvcnQ=" },
		"a long URL":          func(n *adminclient.NewWebhook) { n.URL += strings.Repeat("x", 2048) },
	} {
		n := good
		edit(&n)
		if _, err := w.operator().PutWebhook(t.Context(), n, ""); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	w.wantEvents(authority.EventWebhookSet, 0)
}
