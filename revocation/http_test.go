package revocation

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// TestFollower_OverRealConnections follows a real server over HTTP/1.1 and HTTP/2 while it revokes and cuts
// all connections now and then.
func TestFollower_OverRealConnections(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		name := map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[h2]
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			var proto sync.Map
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				proto.Store(r.Proto, true)
				if user, pass, _ := r.BasicAuth(); user != "api" || pass != "secret" {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				after, _ := ParseCursor(r.Header.Get("Last-Event-ID"))
				w.Header().Set("Content-Type", "text/event-stream")
				_ = a.stream(r.Context(), flushWriter{w}, after) // ends when the follower goes
			}))
			server.EnableHTTP2 = h2
			server.StartTLS()
			defer server.Close()

			view := NewView(ViewConfig{})
			moved := make(chan struct{}, 1)
			view.Subscribe(func(Entry) {
				select {
				case moved <- struct{}{}:
				default:
				}
			})
			f, err := NewFollower(FollowerConfig{
				URL: server.URL, Client: server.Client(), View: view, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
				Authorize: func(r *http.Request) error { r.SetBasicAuth("api", "secret"); return nil },
			})
			must(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			ended := make(chan error)
			go func() { ended <- f.Run(ctx) }()
			const n = 60
			for i := 1; i <= n; i++ {
				a.append(token(uint64(2*i-1), number(i)), Entry{Seq: uint64(2 * i), Kind: KeyRing})
				for view.Cursor() != (Cursor{"life1", uint64(2 * i)}) {
					select {
					case <-moved:
					case <-time.After(time.Millisecond):
					}
					if ctx.Err() != nil {
						t.Fatalf("at %v of %d: %v", view.Cursor(), 2*i, f.Err())
					}
				}
				if !revokedToken(view, number(i)) {
					t.Fatalf("id %d is alive", i)
				}
				if i%20 == 0 {
					server.CloseClientConnections()
				}
			}
			cancel()
			wantErr(t, <-ended, context.Canceled)
			if _, ok := proto.Load(map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[h2]); !ok {
				t.Errorf("%s was not used", name)
			}
		})
	}
}

// TestFollower_DoesNotFollowRedirects: the credentials are for the configured place.
func TestFollower_DoesNotFollowRedirects(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed a redirect") }))
	defer elsewhere.Close()
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		asked <- struct{}{}
	}))
	defer server.Close()
	f, err := NewFollower(FollowerConfig{URL: server.URL, View: NewView(ViewConfig{}), MinBackoff: time.Millisecond,
		Authorize: func(*http.Request) error { return nil }})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx) }()
	<-asked
	<-asked
	cancel()
	wantErr(t, <-ended, context.Canceled)
}

type flushWriter struct{ http.ResponseWriter }

func (w flushWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.ResponseWriter.(http.Flusher).Flush()
	return n, err
}
