package traces

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// exporter sends spans as OTLP over HTTP, in protobuf. It is ours because the one of
// OpenTelemetry brings gRPC along, which the protocol over HTTP does not need.
type exporter struct {
	endpoint string
	headers  http.Header
	http     *http.Client
	log      *slog.Logger
}

// newExporter reads where the collector is; nil: nowhere.
func newExporter(getenv func(string) string, log *slog.Logger) (*exporter, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := strings.TrimSpace(getenv(name)); v != "" {
				return v
			}
		}
		return ""
	}
	kind := first("OTEL_TRACES_EXPORTER")
	base, traces := first("OTEL_EXPORTER_OTLP_ENDPOINT"), first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	switch {
	case strings.EqualFold(first("OTEL_SDK_DISABLED"), "true"), kind == "none", kind+base+traces == "":
		return nil, nil //nolint:nilnil // most servers have none
	case kind != "" && kind != "otlp":
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is neither otlp nor none", kind)
	}
	if p := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); p != "" && p != "http/protobuf" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: %q is not http/protobuf, which is all there is", p)
	}
	if traces == "" {
		if base == "" {
			base = "http://localhost:4318"
		}
		traces = strings.TrimSuffix(base, "/") + "/v1/traces"
	}
	if u, err := url.Parse(traces); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: not an http or https URL")
	}
	e := &exporter{endpoint: traces, headers: make(http.Header), http: &http.Client{Timeout: 10 * time.Second}, log: log}
	if text := first("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT: %q is no number of milliseconds", text)
		}
		e.http.Timeout = time.Duration(ms) * time.Millisecond
	}
	for pair := range strings.SplitSeq(first("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"), ",") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			text, err := url.PathUnescape(strings.TrimSpace(value))
			if err != nil {
				return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_HEADERS: the value of %q is not escaped as it must be", name)
			}
			e.headers.Set(strings.TrimSpace(name), text)
		}
	}
	return e, nil
}

// ExportSpans implements the SDK's exporter. A failure costs these spans and nothing
// else.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if err := e.send(ctx, request(spans)); err != nil {
		e.log.WarnContext(ctx, "traces were not delivered", "spans", len(spans), "error", err)
	}
	return nil
}

// Shutdown implements the SDK's exporter.
func (e *exporter) Shutdown(context.Context) error {
	e.http.CloseIdleConnections()
	return nil
}

func (e *exporter) send(ctx context.Context, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, values := range e.headers {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := e.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered %d", answer.StatusCode)
	}
	return nil
}
