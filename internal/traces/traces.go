// Package traces tells an OpenTelemetry collector what requests do, if the standard
// variables (OTEL_EXPORTER_OTLP_ENDPOINT and its neighbours) say where one is. A span
// has a name of ours, a status and times: no query, no token, nobody's id.
//
// Parts of the server need no setting for it: Begin makes a span below the one that
// the context has, and nothing where it has none.
package traces

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/jetonhq/jeton"

// Provider makes the spans that have none above them. A nil one makes none.
type Provider struct {
	sdk    *sdk.TracerProvider
	tracer trace.Tracer
}

// Open reads the variables, and returns nil if they name no collector. What cannot be
// delivered is dropped, and logged: it holds nobody up.
func Open(ctx context.Context, getenv func(string) string, log *slog.Logger) (*Provider, error) {
	e, err := newExporter(getenv, log)
	if e == nil || err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "jeton")), resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	p := &Provider{sdk: sdk.NewTracerProvider(sdk.WithBatcher(e), sdk.WithResource(about))}
	p.tracer = p.sdk.Tracer(scope)
	return p, nil
}

// Close delivers what is left, until ctx is done.
func (p *Provider) Close(ctx context.Context) error {
	if p == nil {
		return nil
	}
	return p.sdk.Shutdown(ctx)
}

// Span is something that takes time. The zero value is nothing.
type Span struct{ span trace.Span }

// Request begins the span of a request, below its caller's.
func (p *Provider) Request(ctx context.Context, r *http.Request) (context.Context, Span) {
	if p == nil {
		return ctx, Span{}
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	ctx, span := p.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
	return ctx, Span{span}
}

// Work begins the span of something that no request waits for.
func (p *Provider) Work(ctx context.Context, part, what string) (context.Context, Span) {
	if p == nil {
		return ctx, Span{}
	}
	ctx, span := p.tracer.Start(ctx, part+": "+what)
	return ctx, Span{span}
}

// methods are those that a span is named by; others are anything that a caller likes.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// Answered ends the span of a request. The route is the pattern that matched.
func (s Span) Answered(method, route string, status int) {
	if s.span == nil {
		return
	}
	if !slices.Contains(methods, method) {
		method = "other"
	}
	_, path, split := strings.Cut(route, " ")
	if !split {
		path = route
	}
	s.span.SetName(method + " " + path)
	s.span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}

// Begin begins a span below the one of the context: part ("store") and what it does.
func Begin(ctx context.Context, part, what string) (context.Context, Span) {
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, Span{}
	}
	ctx, span := above.TracerProvider().Tracer(scope).Start(ctx, part+": "+what)
	return ctx, Span{span}
}

// End ends a span. Of an error there is only that it was one: its text is for the log.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}
