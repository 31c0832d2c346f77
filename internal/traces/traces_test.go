package traces_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/traces"
)

func open(t *testing.T, environ map[string]string) (*traces.Provider, error) {
	t.Helper()
	return traces.Open(t.Context(), func(name string) string { return environ[name] }, slog.New(slog.DiscardHandler))
}

// Nothing is set up unless the variables name a collector.
func TestOpen_Variables(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, test := range map[string]struct {
		environ map[string]string
		on      bool
		problem string
	}{
		"none":            {},
		"an endpoint":     {environ: map[string]string{endpoint: "http://127.0.0.1:4318"}, on: true},
		"the default one": {environ: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, on: true},
		"switched off":    {environ: map[string]string{endpoint: "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}},
		"disabled":        {environ: map[string]string{endpoint: "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}},
		"another kind":    {environ: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, problem: "OTEL_TRACES_EXPORTER"},
		"grpc":            {environ: map[string]string{endpoint: "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, problem: "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"no URL":          {environ: map[string]string{endpoint: "collector"}, problem: endpoint},
		"no time":         {environ: map[string]string{endpoint: "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}, problem: "OTEL_EXPORTER_OTLP_TIMEOUT"},
	} {
		p, err := open(t, test.environ)
		if (p != nil) != test.on || (err != nil) != (test.problem != "") || err != nil && !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without a collector a request and its steps cost no memory.
func TestOff_AllocatesNothing(t *testing.T) {
	var p *traces.Provider
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/token", nil)
	if n := testing.AllocsPerRun(100, func() {
		ctx, span := p.Request(r.Context(), r)
		_, step := traces.Begin(ctx, "store", "refresh")
		step.End(context.Canceled)
		_, work := p.Work(ctx, "deliver", "mail")
		work.End(nil)
		span.Answered("POST", "/token", 200)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOff(b *testing.B) {
	ctx := b.Context()
	for b.Loop() {
		_, step := traces.Begin(ctx, "store", "refresh")
		step.End(nil)
	}
}
