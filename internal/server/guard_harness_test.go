package server_test

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	adminclient "github.com/jetonhq/jeton/admin"
)

// guardConfig is that of an API's guard: the resource's own credentials.
func (w *world) guardConfig() jeton.Config {
	return jeton.Config{
		Issuer: w.issuer, Audience: api, Client: jeton.ClientSecret("reports-api", w.keys["reports-api"]),
		Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now,
	}
}

// guard starts a guard, and closes it before the world ends.
func guard(t testing.TB, c jeton.Config) *jeton.Guard {
	t.Helper()
	g, err := jeton.NewGuard(c)
	must(t, err)
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// fleet are n guards, each with its own connections, that know everything.
func (w *world) fleet(n int) []*jeton.Guard {
	w.t.Helper()
	all := make([]*jeton.Guard, n)
	for i := range all {
		all[i] = guard(w.t, w.guardConfig())
	}
	for _, g := range all {
		eventually(w.t, "a guard is ready", 30*time.Second, g.Ready)
	}
	return all
}

// refusal is the reason for which a guard refuses a token, "" if it does not.
func refusal(t testing.TB, g *jeton.Guard, token string, demands ...jeton.Demand) string {
	t.Helper()
	_, err := g.Check(t.Context(), token, demands...)
	if err == nil {
		return ""
	}
	r, ok := errors.AsType[*jeton.Refusal](err)
	if !ok {
		t.Fatalf("not a refusal: %v", err)
	}
	return r.Reason
}

// each runs f for all guards at the same time.
func each(all []*jeton.Guard, f func(i int, g *jeton.Guard)) {
	var work sync.WaitGroup
	for i, g := range all {
		work.Go(func() { f(i, g) })
	}
	work.Wait()
}

// operator is the admin API.
func (w *world) operator() *adminclient.Client {
	return &adminclient.Client{BaseURL: w.manage, Token: w.admin}
}

// through sends a token through a guarded handler.
func (w *world) through(origin, token string) answer {
	w.t.Helper()
	r := w.request(http.MethodGet, origin+"/reports", "")
	r.Header.Set("Authorization", "Bearer "+token)
	return w.do(r)
}
