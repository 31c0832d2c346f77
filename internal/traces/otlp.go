package traces

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// request is an ExportTraceServiceRequest (opentelemetry-proto, collector/trace/v1) of
// spans that one provider has made.
func request(spans []sdk.ReadOnlySpan) []byte {
	if len(spans) == 0 {
		return nil
	}
	scopeSpans := message(nil, 1, text(nil, 1, scope))
	for _, s := range spans {
		scopeSpans = message(scopeSpans, 2, encode(s))
	}
	resourceSpans := message(nil, 1, attributes(nil, 1, spans[0].Resource().Attributes()))
	return message(nil, 1, message(resourceSpans, 2, scopeSpans))
}

// encode is a Span (trace/v1). The caller's trace state is left out: it may hold anything.
func encode(s sdk.ReadOnlySpan) []byte {
	trace, span, parent := s.SpanContext().TraceID(), s.SpanContext().SpanID(), s.Parent().SpanID()
	b := message(nil, 1, trace[:])
	b = message(b, 2, span[:])
	if s.Parent().HasSpanID() {
		b = message(b, 4, parent[:])
	}
	b = text(b, 5, s.Name())
	b = number(b, 6, int64(s.SpanKind()))                                                                           // the numbers are the same
	b = protowire.AppendFixed64(protowire.AppendTag(b, 7, protowire.Fixed64Type), uint64(s.StartTime().UnixNano())) // #nosec G115 -- after 1970
	b = protowire.AppendFixed64(protowire.AppendTag(b, 8, protowire.Fixed64Type), uint64(s.EndTime().UnixNano()))   // #nosec G115 -- after 1970
	b = attributes(b, 9, s.Attributes())
	if s.Status().Code == codes.Error {
		b = message(b, 15, number(nil, 3, 2)) // STATUS_CODE_ERROR
	}
	return b
}

func attributes(b []byte, field protowire.Number, list []attribute.KeyValue) []byte {
	for _, a := range list {
		var value []byte
		switch a.Value.Type() {
		case attribute.INT64:
			value = number(nil, 3, a.Value.AsInt64())
		default:
			value = text(nil, 1, a.Value.String())
		}
		b = message(b, field, message(text(nil, 1, string(a.Key)), 2, value))
	}
	return b
}

func message(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}

func text(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func number(b []byte, field protowire.Number, n int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n)) // #nosec G115 -- its bits
}
