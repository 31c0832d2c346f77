package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/revocation"
)

// narrow is a listener whose connections hold little that was not read.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(4096)
	}
	return c, err
}

// dial opens a connection that takes in little before it is read.
func dial(t *testing.T, origin string) *net.TCPConn {
	t.Helper()
	address, err := net.ResolveTCPAddr("tcp", strings.TrimPrefix(origin, "http://"))
	must(t, err)
	c, err := net.DialTCP("tcp", nil, address)
	must(t, err)
	must(t, c.SetReadBuffer(4096))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (w *world) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("reports-api:"+w.keys["reports-api"]))
}

// stuckHTTP1 subscribes and reads nothing. rest reads what it was sent.
func (w *world) stuckHTTP1(t *testing.T, origin string) (rest func() []byte) {
	c := dial(t, origin)
	_, err := io.WriteString(c, "GET /revocations HTTP/1.1\r\nHost: feed\r\nAuthorization: "+w.basic()+"\r\n\r\n")
	must(t, err)
	return func() []byte {
		var body bytes.Buffer
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("answer: %v", err)
			return nil
		}
		defer func() { _ = response.Body.Close() }()
		_, _ = io.Copy(&body, response.Body) // ends in the middle
		return body.Bytes()
	}
}

// stuckHTTP2 subscribes with a window of 1 kB and never opens it again.
func (w *world) stuckHTTP2(t *testing.T, origin string) (rest func() []byte) {
	c := dial(t, origin)
	_, err := io.WriteString(c, http2.ClientPreface)
	must(t, err)
	framer := http2.NewFramer(c, c)
	must(t, framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1024}))
	var block bytes.Buffer
	fields := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "feed"}, {":path", "/revocations"}, {"authorization", w.basic()}} {
		must(t, fields.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	must(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	var mu sync.Mutex
	var body []byte
	reset := make(chan struct{})
	go func() { // the connection is alive; only the stream is not read
		defer close(reset)
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			switch f := frame.(type) {
			case *http2.DataFrame:
				mu.Lock()
				body = append(body, f.Data()...)
				mu.Unlock()
			case *http2.SettingsFrame:
				if !f.IsAck() {
					_ = framer.WriteSettingsAck()
				}
			case *http2.RSTStreamFrame:
				return
			}
		}
	}()
	return func() []byte {
		select {
		case <-reset:
		case <-time.After(20 * time.Second):
			t.Error("the stream is not reset")
		}
		mu.Lock()
		defer mu.Unlock()
		return body
	}
}

// A subscriber that reads nothing is dropped. Nobody waits for it, and it goes
// on where it was without a loss.
func TestFeed_SlowSubscriberIsDropped(t *testing.T) {
	for name, stuck := range map[string]func(*world, *testing.T, string) func() []byte{
		"HTTP/1.1": (*world).stuckHTTP1, "HTTP/2": (*world).stuckHTTP2,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{})
			origin, _ := w.listen(func(l net.Listener) net.Listener { return narrow{l} })
			tokens := w.machines(300)
			quick := w.mustSubscribe(overHTTP1(t), origin, "")
			quick.until(t, isHeartbeat)
			begin := quick.lastID
			rest := stuck(w, t, origin)
			eventually(t, "the subscription", 10*time.Second, func() bool { return w.gauge("jeton_feed_subscribers") == 2 })

			var worst time.Duration
			for i, token := range tokens {
				began := time.Now()
				w.end(token)
				quick.until(t, func(m revocation.Message) bool {
					return len(m.Entries) > 0 && m.Entries[len(m.Entries)-1].Seq == uint64(i)+1
				})
				worst = max(worst, time.Since(began))
			}
			t.Logf("from revocation to a subscriber beside a stuck one: at most %v", worst)
			if worst > 1900*time.Millisecond { // a stuck one is given 2 s
				t.Errorf("an entry took %v", worst)
			}
			began := time.Now()
			eventually(t, "the stuck subscriber is dropped", 20*time.Second, func() bool { return w.gauge("jeton_feed_subscribers") == 1 })
			t.Logf("dropped %v after the last entry", time.Since(began))

			// What it was sent, up to the last whole event, and the rest from there.
			at, seen := begin, uint64(0)
			sent := rest()
			if end := bytes.LastIndex(sent, []byte("\n\n")); end >= 0 {
				sent = sent[:end+2]
			}
			for d := revocation.NewDecoder(bytes.NewReader(sent)); ; {
				e, err := d.Next()
				if err != nil {
					break
				}
				m, err := e.Message()
				must(t, err)
				for _, entry := range m.Entries {
					if entry.Seq != seen+1 {
						t.Fatalf("number %d after %d", entry.Seq, seen)
					}
					seen = entry.Seq
				}
				if e.ID != "" {
					at = e.ID
				}
			}
			if seen == uint64(len(tokens)) {
				t.Fatal("the subscriber was not stuck: it has everything")
			}
			t.Logf("it has %d of %d entries and resumes at %s", seen, len(tokens), at[strings.LastIndex(at, "-"):])
			again := w.mustSubscribe(overHTTP1(t), origin, at)
			for seen < uint64(len(tokens)) {
				m, err := again.next()
				must(t, err)
				for _, entry := range m.Entries {
					if entry.Seq != seen+1 {
						t.Fatalf("resumed: number %d after %d", entry.Seq, seen)
					}
					seen = entry.Seq
				}
			}
		})
	}
}

// A thousand guards on one node hear of everything.
func TestFeed_ThousandSubscribers(t *testing.T) {
	w := newWorld(t, options{edit: func(c *config.Config) { c.Feed.Heartbeat = 500 * time.Millisecond }})
	origin, stop := w.listen(nil)
	const all, multiplexed, revocations = 1000, 100, 50
	tokens := w.machines(revocations)
	before := inUse()

	clients := []*http.Client{overHTTP1(t), overHTTP2(t)}
	var got [all]atomic.Uint64 // the last number
	var ready, finished sync.WaitGroup
	arrived := make([]time.Time, all)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready.Add(all)
	limit := make(chan struct{}, 50) // that connect at the same time
	for i := range all {
		client := clients[0]
		if i < multiplexed {
			client = clients[1]
		}
		finished.Go(func() {
			limit <- struct{}{}
			s, err := w.subscribe(client, origin, "")
			<-limit
			if err != nil {
				t.Error(err)
				ready.Done()
				return
			}
			defer s.close()
			for first := true; ; {
				m, err := s.next()
				if err != nil {
					if ctx.Err() == nil || err != io.EOF {
						t.Errorf("subscriber %d: the stream ends with %v at %d", i, err, got[i].Load())
					}
					return
				}
				if first && m.Type == revocation.Heartbeat {
					first = false
					ready.Done()
				}
				for _, e := range m.Entries {
					if e.Seq != got[i].Load()+1 {
						t.Errorf("subscriber %d: number %d after %d", i, e.Seq, got[i].Load())
					}
					arrived[i] = time.Now()
					got[i].Store(e.Seq)
				}
			}
		})
	}
	ready.Wait()
	if n := w.gauge("jeton_feed_subscribers"); n != all {
		t.Errorf("%v subscribers are counted, want %d", n, all)
	}
	connected := inUse()
	began := time.Now()
	for _, token := range tokens {
		w.end(token)
	}
	answered := time.Now()
	eventually(t, "everybody has everything", time.Minute, func() bool {
		for i := range got {
			if got[i].Load() < revocations {
				return false
			}
		}
		return true
	})
	after := inUse()
	if n := w.gauge("jeton_feed_subscribers"); n != all {
		t.Errorf("then %v subscribers, want %d: somebody was dropped", n, all)
	}
	began2 := time.Now()
	cancel()
	must(t, stop())
	finished.Wait()
	t.Logf("%d revocations in %v; the last of %d subscribers has them %v after the answer; the stop took %v",
		revocations, answered.Sub(began), all, slices.MaxFunc(arrived, time.Time.Compare).Sub(answered), time.Since(began2))
	t.Logf("memory of both ends: %d kB per subscriber, %d kB after the revocations", (connected-before)/all/1024, (after-before)/all/1024)
	if per := (after - before) / all; per > 256<<10 {
		t.Errorf("%d bytes per subscriber", per)
	}
	if took := time.Since(began2); took > 30*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

// inUse is the memory of live objects and stacks.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse) // #nosec G115 -- far below
}
