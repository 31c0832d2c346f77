package server

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/jetonhq/jeton/internal/answered"
	"github.com/jetonhq/jeton/internal/secret"
)

type requestIDKey struct{}

// requestID names the request in the log, or is "".
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID makes a log handler add the request's id to every line.
func WithRequestID(h slog.Handler) slog.Handler { return requestIDHandler{h} }

type requestIDHandler struct{ slog.Handler }

func (h requestIDHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := requestID(ctx); id != "" {
		r.AddAttrs(slog.String("request", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestIDHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestIDHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestIDHandler) WithGroup(name string) slog.Handler {
	return requestIDHandler{h.Handler.WithGroup(name)}
}

// outermost names each request, writes one access line for it, counts it, and
// keeps one broken handler from ending the process. The line has the path and
// never the query: queries carry codes and hints.
func (s *Server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx := context.WithValue(r.Context(), requestIDKey{}, secret.NewID(start).String())
		ctx, span := s.traces.Request(ctx, r)
		r = r.WithContext(ctx)
		rec := &answered.Writer{ResponseWriter: w}
		if r.TLS != nil { // RFC 6797 section 7.2: never over plain http
			w.Header().Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
		}
		select {
		case <-s.stopping: // with its next request this caller turns to another node
			w.Header().Set("Connection", "close")
		default:
		}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
					panic(p)
				}
				s.log.ErrorContext(ctx, "handler panicked", "panic", p, "stack", string(debug.Stack()))
				if rec.Status == 0 {
					http.Error(rec, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
				}
			}
			took := time.Since(start)
			if rec.Status == 0 {
				rec.Status = silent(ctx)
			}
			s.metrics.request(r, rec.Status, took)
			span.Answered(r.Method, route(r), rec.Status)
			s.log.LogAttrs(ctx, slog.LevelInfo, "request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", rec.Status),
				slog.Int64("bytes", rec.Bytes), slog.Duration("took", took), slog.String("from", s.address(r).String()))
		}()
		next.ServeHTTP(rec, r)
	})
}

// silent is the status of a request whose handler wrote nothing: net/http
// answers 200, unless the caller has gone, which proxies call 499.
func silent(ctx context.Context) int {
	if ctx.Err() != nil {
		return 499
	}
	return http.StatusOK
}
