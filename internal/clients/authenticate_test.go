package clients_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// TOK-4, TOK-7: every failed authentication is the same refusal, and the reason is for the log only.
func TestTOK_4_TOK_7_RefusalsAreTheSame(t *testing.T) {
	w := open(t)
	_, machineSecret := w.create(machine())
	_, webSecret := w.create(web())
	w.create(spa())
	disabled := machine()
	disabled.ID, disabled.Disabled = "disabled", true
	_, disabledSecret := w.create(disabled)

	good := map[string]string{"machine": machineSecret.Reveal(), "web": webSecret.Reveal()}
	if err := w.authenticate(oauth.ClientSecretBasic, "machine", good["machine"], home); err != nil {
		t.Errorf("Basic: %v", err)
	}
	if err := w.authenticate(oauth.ClientSecretPost, "web", good["web"], home); err != nil {
		t.Errorf("post: %v", err)
	}
	if err := w.authenticate(oauth.NoAuthentication, "spa", "", home); err != nil {
		t.Errorf("public client: %v", err)
	}
	var first *oauth.Error
	for _, test := range []struct{ name, method, id, secret, cause string }{
		{"unknown client", oauth.ClientSecretBasic, "nobody", good["machine"], "no such client"},
		{"unknown client without secret", oauth.NoAuthentication, "nobody", "", "no such client"},
		{"id of the stand-in", oauth.ClientSecretBasic, "", "x", "no such client"},
		{"wrong secret", oauth.ClientSecretBasic, "machine", good["machine"] + "x", "secret is wrong"},
		{"secret of another client", oauth.ClientSecretBasic, "machine", good["web"], "secret is wrong"},
		{"empty secret", oauth.ClientSecretBasic, "machine", "", "secret is wrong"},
		{"id alone, TOK-7", oauth.NoAuthentication, "machine", "", "another authentication method"},
		{"id alone, TOK-7, post", oauth.NoAuthentication, "web", "", "another authentication method"},
		{"Basic instead of post", oauth.ClientSecretBasic, "web", good["web"], "another authentication method"},
		{"post instead of Basic", oauth.ClientSecretPost, "machine", good["machine"], "another authentication method"},
		{"public client with a secret, post", oauth.ClientSecretPost, "spa", "x", "another authentication method"},
		{"public client with a secret, Basic", oauth.ClientSecretBasic, "spa", "x", "another authentication method"},
		{"public client with an empty secret, Basic", oauth.ClientSecretBasic, "spa", "", "another authentication method"},
		{"disabled", oauth.ClientSecretBasic, "disabled", disabledSecret.Reveal(), "disabled"},
		{"id in another case", oauth.ClientSecretBasic, "Machine", good["machine"], "no such client"},
	} {
		err := w.authenticate(test.method, test.id, test.secret, home)
		e, ok := errors.AsType[*oauth.Error](err)
		if !ok || e.Code != oauth.InvalidClient {
			t.Errorf("%s: %v, want invalid_client", test.name, err)
			continue
		}
		if first == nil {
			first = e
		}
		if e.Description != first.Description {
			t.Errorf("%s: the client sees %q, otherwise %q", test.name, e.Description, first.Description)
		}
		if e.Cause == nil || !strings.Contains(e.Cause.Error(), test.cause) {
			t.Errorf("%s: cause %v, want %q", test.name, e.Cause, test.cause)
		}
		if test.secret != "" && test.secret != "x" && strings.Contains(err.Error(), test.secret) {
			t.Errorf("%s: the error has the secret", test.name)
		}
	}
}

func TestGEN_12_SecretsAreRandomAndHashed(t *testing.T) {
	w := open(t)
	c, plain := w.create(machine())
	other := machine()
	other.ID = "machine2"
	_, otherPlain := w.create(other)
	s := plain.Reveal()
	if !strings.HasPrefix(s, "jcs_") || len(s) != 4+43 || s == otherPlain.Reveal() {
		t.Errorf("secret of %d characters", len(s))
	}
	if len(c.Secrets) != 1 || c.Secrets[0].Digest != secret.Digest(s) {
		t.Error("the store's digest is not that of the secret")
	}
	stored, err := w.store.Client(t.Context(), "machine")
	if err != nil || strings.Contains(fmt.Sprintf("%+v", stored), s[4:]) {
		t.Errorf("the store has the secret itself (%v)", err)
	}
	for _, e := range w.events(authority.EventClientCreated) {
		if strings.Contains(fmt.Sprintf("%+v", e), s[4:]) {
			t.Error("the history has the secret")
		}
	}
}

// Two secrets are live at a time; expired ones are not.
func TestRotateSecret(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	_, first := w.create(machine())
	works := func(what string, s secret.Value, want bool) {
		t.Helper()
		if err := w.authenticate(oauth.ClientSecretBasic, "machine", s.Reveal(), home); (err == nil) != want {
			t.Errorf("%s: %v, want accepted = %v", what, err, want)
		}
	}
	rotate := func(r clients.Rotation) secret.Value {
		t.Helper()
		c, s, err := w.apps.RotateSecret(ctx, admin, "machine", r, "test")
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Secrets) > 2 || c.Secrets[0].Digest != secret.Digest(s.Reveal()) {
			t.Errorf("%d secrets, or the newest is not first", len(c.Secrets))
		}
		return s
	}
	second := rotate(clients.Rotation{})
	works("the former one", first, true)
	works("the new one", second, true)
	third := rotate(clients.Rotation{})
	works("the one before the former one", first, false)
	works("the former one", second, true)
	works("the new one", third, true)

	fourth := rotate(clients.Rotation{OldUntil: w.clock().Add(time.Hour)})
	w.pass(time.Hour - time.Second)
	works("a former one before its end", third, true)
	w.pass(time.Second)
	works("a former one at its end", third, false)
	works("the one that stays", fourth, true)

	fifth := rotate(clients.Rotation{OldUntil: w.clock()})
	works("a former one that ended at once", fourth, false)
	works("the new one", fifth, true)

	grant := w.standing("machine")
	brought := secret.New(strings.Repeat("0123456789abcdef", 2))
	sixth := rotate(clients.Rotation{Secret: brought, Compromised: true})
	works("a compromised one", fifth, false)
	works("the one brought along", sixth, true)
	w.wantGrant("of a client whose secret was compromised", grant, false)
	if again := rotate(clients.Rotation{Secret: brought}); !again.Equal(brought.Reveal()) {
		t.Error("another secret than the one brought along")
	}

	if n := len(w.events(authority.EventClientSecretIssued)); n != 6 {
		t.Errorf("%d events, want 6", n)
	}
	w.create(spa())
	if _, _, err := w.apps.RotateSecret(ctx, admin, "spa", clients.Rotation{}, ""); !errors.Is(err, clients.ErrInvalid) {
		t.Errorf("public client: %v, want ErrInvalid", err)
	}
	if _, _, err := w.apps.RotateSecret(ctx, admin, "machine", clients.Rotation{Secret: secret.New("short")}, ""); !errors.Is(err, clients.ErrInvalid) {
		t.Errorf("short secret: %v, want ErrInvalid", err)
	}
	if _, _, err := w.apps.RotateSecret(ctx, admin, "nobody", clients.Rotation{}, ""); !errors.Is(err, authority.ErrNotFound) {
		t.Errorf("unknown client: %v, want ErrNotFound", err)
	}
}

func TestGEN_11_SecretsAreThrottled(t *testing.T) {
	w := open(t)
	_, plain := w.create(machine())
	w.create(spa())
	for i := range 20 {
		if err := w.authenticate(oauth.ClientSecretBasic, "machine", "wrong", away); oauth.CodeOf(err) != oauth.InvalidClient {
			t.Fatalf("attempt %d: %v", i+1, err)
		}
	}
	err := w.authenticate(oauth.ClientSecretBasic, "machine", plain.Reveal(), away)
	throttled, ok := errors.AsType[*clients.ThrottledError](err)
	if !ok || throttled.RetryAfter != time.Second {
		t.Fatalf("the 21st: %v, want to wait 1 s", err)
	}
	if err := w.authenticate(oauth.ClientSecretBasic, "machine", plain.Reveal(), home); err != nil {
		t.Errorf("the client itself, in another network: %v", err)
	}
	if err := w.authenticate(oauth.NoAuthentication, "spa", "", away); err != nil {
		t.Errorf("a public client in the network: %v", err)
	}
	w.pass(time.Second)
	if err := w.authenticate(oauth.ClientSecretBasic, "machine", plain.Reveal(), away); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	// The success has cleared the failures of the client.
	for range 2 {
		if err := w.authenticate(oauth.ClientSecretBasic, "machine", "wrong", away); oauth.CodeOf(err) != oauth.InvalidClient {
			t.Errorf("after a success: %v", err)
		}
	}

	// Nor can one network try many clients; an unknown client counts like a known one.
	for i := range 178 {
		if err := w.authenticate(oauth.ClientSecretPost, fmt.Sprint("client", i), "wrong", away); oauth.CodeOf(err) != oauth.InvalidClient {
			t.Fatalf("client %d: %v", i, err)
		}
	}
	err = w.authenticate(oauth.ClientSecretPost, "client999", "wrong", away)
	if _, ok := errors.AsType[*clients.ThrottledError](err); !ok {
		t.Errorf("the 201st failure of a network: %v, want *ThrottledError", err)
	}
}

// Many instances of one client at once are not taken for an attack.
func TestGEN_11_ParallelSuccessesAreNotThrottled(t *testing.T) {
	w := open(t)
	_, plain := w.create(machine())
	errs := make(chan error)
	for range 300 {
		go func() { errs <- w.authenticate(oauth.ClientSecretBasic, "machine", plain.Reveal(), home) }()
	}
	for range 300 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
