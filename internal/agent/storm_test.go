package agent_test

import (
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jetontest"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

// Tokens with made-up key ids cost the agent one fetch of the key set per
// cool-down, and live tokens are answered in between (SPECS JW-32).
func TestJW_32_RandomKidStormAtAgent(t *testing.T) {
	authority := jetontest.New(t)
	a := start(t, authority)
	live := authority.Token(t)
	before := keyFetches(t, metrics(a))
	var work sync.WaitGroup
	for part := range 10 {
		work.Go(func() {
			for i := range 100 {
				key, err := jwk.Generate(jwk.Ed25519)
				if err == nil {
					key, err = key.WithID(fmt.Sprint("made up ", part, i))
				}
				if err != nil {
					t.Error(err)
					return
				}
				forged, err := jwt.Sign(key, jwt.AccessToken.Type, jwt.Claims{
					Issuer: authority.Guard().Issuer, Subject: "s", Audience: []string{authority.Guard().Audience}, ClientID: "machine",
					IssuedAt: time.Now().Unix(), ExpiresAt: time.Now().Add(time.Minute).Unix(), ID: "x",
				})
				if err != nil {
					t.Error(err)
					return
				}
				if got := ask(a, "GET", "/check", bearer(forged), nil); got.Code != http.StatusUnauthorized || got.Header().Get("Jeton-Reason") != "unknown_key" {
					t.Errorf("a made-up key: %d, reason %q", got.Code, got.Header().Get("Jeton-Reason"))
				}
				if got := ask(a, "GET", "/check", bearer(live), nil); got.Code != http.StatusOK && got.Code != http.StatusNoContent {
					t.Errorf("a live token in the storm: %d", got.Code)
				}
			}
		})
	}
	work.Wait()
	if n := keyFetches(t, metrics(a)) - before; n > 1 {
		t.Errorf("%d fetches of the key set, want at most 1", n)
	}
}

func keyFetches(t *testing.T, metrics string) int {
	t.Helper()
	found := regexp.MustCompile(`(?m)^\S*key\S*fetch\S* (\d+)`).FindStringSubmatch(metrics)
	if found == nil {
		t.Fatalf("no count of fetches in\n%s", metrics)
	}
	var n int
	_, _ = fmt.Sscan(found[1], &n)
	return n
}
