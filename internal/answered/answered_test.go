package answered_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/jetonhq/jeton/internal/answered"
)

func TestWriter(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		status  int // as remembered
		bytes   int64
	}{
		"nothing":    {func(http.ResponseWriter, *http.Request) {}, 0, 0},
		"status":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, http.StatusNotFound, 0},
		"body alone": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "abc") }, http.StatusOK, 3},
		"body in parts": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "abc")
			_, _ = io.WriteString(w, "d")
		}, http.StatusTeapot, 4},
		"early hints": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusForbidden)
		}, http.StatusForbidden, 0},
		"early hints, then a body": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, "a")
		}, http.StatusOK, 1},
		"flushed": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
		}, http.StatusOK, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var got *answered.Writer
			finished := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = &answered.Writer{ResponseWriter: w}
				test.handler(got, r)
				close(finished)
			}))
			defer s.Close()
			answer, err := s.Client().Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			<-finished
			if got.Status != test.status || got.Bytes != test.bytes {
				t.Errorf("remembered %d, %d bytes; want %d, %d", got.Status, got.Bytes, test.status, test.bytes)
			}
			if test.status != 0 && answer.StatusCode != test.status {
				t.Errorf("the caller got %d", answer.StatusCode)
			}
		})
	}
}
