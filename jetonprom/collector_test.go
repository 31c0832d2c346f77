package jetonprom_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/jetonprom"
	"github.com/jetonhq/jeton/revocation"
)

func scrape(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestMetrics(t *testing.T) {
	metrics := jetonprom.New("reports")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics)
	if got := scrape(t, registry); strings.Contains(got, "jeton_guard_ready") {
		t.Errorf("numbers of a guard that is not there:\n%s", got)
	}
	nobody := httptest.NewServer(http.NotFoundHandler())
	defer nobody.Close()
	guard, err := jeton.NewGuard(jeton.Config{
		Issuer: nobody.URL, Audience: "reports", Observer: metrics, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = guard.Close() }()
	metrics.Follow(guard)
	for range 3 {
		if _, err := guard.Check(context.Background(), "no token"); err == nil {
			t.Fatal("accepted")
		}
	}
	metrics.Checked("", true)
	metrics.Checked("", false)
	metrics.Checked(jeton.ReasonRevoked, true)
	metrics.Feed(revocation.Streaming)
	metrics.Registry(7, time.Millisecond, nil)
	metrics.Registry(1, time.Second, errors.New("down"))
	got := scrape(t, registry)
	for _, want := range []string{
		`jeton_guard_checks_total{guard="reports",reason="malformed",seen="false"} 3`,
		`jeton_guard_checks_total{guard="reports",reason="",seen="true"} 1`,
		`jeton_guard_checks_total{guard="reports",reason="",seen="false"} 1`,
		`jeton_guard_checks_total{guard="reports",reason="revoked",seen="true"} 1`,
		`jeton_guard_feed_changes_total{guard="reports",state="streaming"} 1`,
		`jeton_guard_registry_seconds_count{guard="reports",outcome="answered"} 1`,
		`jeton_guard_registry_seconds_count{guard="reports",outcome="failed"} 1`,
		`jeton_guard_registry_tokens_sum{guard="reports"} 8`,
		`jeton_guard_full{guard="reports"} 0`,
		`jeton_guard_ready{guard="reports"} 0`,
		`jeton_guard_first_sights_total{guard="reports"} 3`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}
