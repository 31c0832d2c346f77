package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/revocation"
)

// listen serves the world as a process does, with the limits of its
// connections, HTTP/1.1 and HTTP/2, and returns the origin. stop drains and
// returns what Serve says.
func (w *world) listen(wrap func(net.Listener) net.Listener) (origin string, stop func() error) {
	w.t.Helper()
	var lc net.ListenConfig
	public, err := lc.Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	must(w.t, err)
	manage, err := lc.Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	must(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	origin = "http://" + public.Addr().String()
	if wrap != nil {
		public = wrap(public)
	}
	go func() { served <- w.server.Serve(ctx, public, manage) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
	w.t.Cleanup(func() { _ = stop() })
	return origin, stop
}

// overHTTP2 is a client that speaks HTTP/2 without TLS.
func overHTTP2(t testing.TB) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// overHTTP1 is a client with a connection per stream.
func overHTTP1(t testing.TB) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// subscriber reads one stream of the feed.
type subscriber struct {
	response *http.Response
	decoder  *revocation.Decoder
	close    func()
	lastID   string // of the last event that had one
}

// subscribe asks as the resource of the clients' audience. It may be called
// from any goroutine.
func (w *world) subscribe(client *http.Client, origin, lastID string) (*subscriber, error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/revocations", nil)
	if err != nil {
		cancel()
		return nil, err
	}
	r.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	r.SetBasicAuth("reports-api", w.keys["reports-api"])
	response, err := client.Do(r)
	if err != nil {
		cancel()
		return nil, err
	}
	s := &subscriber{response: response, decoder: revocation.NewDecoder(response.Body), lastID: lastID}
	s.close = func() {
		cancel()
		_ = response.Body.Close()
	}
	if response.StatusCode != http.StatusOK {
		s.close()
		return nil, fmt.Errorf("the feed answers %d", response.StatusCode)
	}
	return s, nil
}

func (w *world) mustSubscribe(client *http.Client, origin, lastID string) *subscriber {
	w.t.Helper()
	s, err := w.subscribe(client, origin, lastID)
	must(w.t, err)
	w.t.Cleanup(s.close)
	return s
}

func (s *subscriber) next() (revocation.Message, error) {
	e, err := s.decoder.Next()
	if err != nil {
		return revocation.Message{}, err
	}
	m, err := e.Message()
	if e.ID != "" {
		s.lastID = e.ID
	}
	return m, err
}

// until reads until a message satisfies want, and returns all it read.
func (s *subscriber) until(t testing.TB, want func(revocation.Message) bool) []revocation.Message {
	t.Helper()
	var read []revocation.Message
	for {
		m, err := s.next()
		if err != nil {
			t.Fatalf("the stream ends after %d messages: %v", len(read), err)
		}
		if read = append(read, m); want(m) {
			return read
		}
	}
}

func isHeartbeat(m revocation.Message) bool { return m.Type == revocation.Heartbeat }

// kinds are the types of messages, for comparison. Entries may come in one
// delta or in several.
func kinds(messages []revocation.Message) string {
	var names []string
	for _, m := range messages {
		switch m.Type {
		case revocation.SnapshotPart:
			names = append(names, "snapshot")
		case revocation.Delta:
			names = append(names, "delta")
		case revocation.Heartbeat:
			names = append(names, "heartbeat")
		case revocation.Other:
			names = append(names, "other")
		}
	}
	return strings.Join(slices.Compact(names), " ")
}

// head is the place of the log.
func (w *world) head() revocation.Cursor {
	w.t.Helper()
	incarnation, seq, err := w.parts.Store.Head(w.t.Context())
	must(w.t, err)
	return revocation.Cursor{Incarnation: incarnation, Seq: seq}
}

// machines issues n tokens, many at a time.
func (w *world) machines(n int) []string {
	w.t.Helper()
	tokens := make([]string, n)
	var work sync.WaitGroup
	for some := range slices.Chunk(tokens, max(1, n/16)) {
		work.Go(func() {
			for i := range some {
				some[i] = w.post("/token", "machine", "grant_type", "client_credentials").text("access_token")
			}
		})
	}
	work.Wait()
	if slices.Contains(tokens, "") {
		w.t.Fatal("no token")
	}
	return tokens
}

// end revokes a token as an operator does.
func (w *world) end(token string) {
	w.t.Helper()
	if err := w.parts.Tokens.RevokeToken(w.t.Context(), token, authority.System, "test"); err != nil {
		w.t.Errorf("revoke: %v", err)
	}
}

// gauge reads a number from the metrics.
func (w *world) gauge(name string) float64 {
	w.t.Helper()
	lines := bufio.NewScanner(strings.NewReader(w.do(w.request(http.MethodGet, w.manage+"/metrics", "")).ok().body))
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(text, 64)
			must(w.t, err)
			return v
		}
	}
	w.t.Fatalf("there is no metric %s", name)
	return 0
}

// eventually waits for a condition that must come true.
func eventually(t testing.TB, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
