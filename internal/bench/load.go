package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/spread"
)

// load is one measurement.
type load struct {
	addr    string
	pid     int // of the server
	dbPID   int // of the database's first process, or 0
	callers int
	time    time.Duration
	pace    float64 // requests/s in all; 0 is as fast as it goes
	next    func(caller int) exchange
}

// exchange makes a caller's next request from its last answer.
type exchange func(last []byte) (request []byte)

type result struct {
	rate   float64 // answered requests/s
	took   spread.Times
	cpu    time.Duration // of the server, per answered request
	dbCPU  time.Duration // of the database's processes, per answered request
	errors int
}

// run puts the load on: each caller has one connection, kept alive, and a hand
// written HTTP/1.1 exchange, so that the generator takes little of the machine.
func run(ctx context.Context, l load) result {
	ctx, cancel := context.WithTimeout(ctx, l.time)
	defer cancel()
	var (
		mu     sync.Mutex
		all    []time.Duration
		failed int
		wg     sync.WaitGroup
	)
	start, spent, dbSpent := time.Now(), cpuTime(l.pid), familyTime(l.dbPID)
	for caller := range l.callers {
		wg.Go(func() {
			took, errs := l.call(ctx, caller)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			failed += errs
		})
	}
	wg.Wait()
	r := result{rate: float64(len(all)) / time.Since(start).Seconds(), errors: failed}
	if len(all) > 0 {
		r.took = spread.Of(all)
		r.cpu = (cpuTime(l.pid) - spent) / time.Duration(len(all))
		r.dbCPU = (familyTime(l.dbPID) - dbSpent) / time.Duration(len(all))
	}
	return r
}

func (l load) call(ctx context.Context, caller int) (took []time.Duration, failed int) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return nil, 1
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 16<<10)
	next := l.next(caller)
	var last []byte
	var every time.Duration
	due := time.Now()
	if l.pace > 0 {
		every = time.Duration(float64(time.Second) * float64(l.callers) / l.pace)
		due = due.Add(every * time.Duration(caller) / time.Duration(l.callers)) // spread the callers
	}
	for ctx.Err() == nil {
		start := time.Now()
		if l.pace > 0 {
			if wait := due.Sub(start); wait > 0 {
				select {
				case <-ctx.Done():
					return took, failed
				case <-time.After(wait):
				}
			}
			// Late starts count: latency is from when the request was due.
			start, due = due, due.Add(every)
		}
		request := next(last)
		if request == nil {
			return took, failed // there is nothing left to ask
		}
		if _, err := conn.Write(request); err != nil {
			return took, failed + 1
		}
		status, body, err := readAnswer(in, last)
		if err != nil {
			return took, failed + 1
		}
		last = body
		if status != 200 {
			failed++
			continue
		}
		took = append(took, time.Since(start))
	}
	return took, failed
}

// readAnswer reads one response that has a Content-Length.
func readAnswer(in *bufio.Reader, reuse []byte) (status int, body []byte, err error) {
	length := -1
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if len(line) < 12 {
				return 0, nil, errors.New("short status line")
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, nil, err
			}
		case len(line) == 0:
			if length < 0 {
				return 0, nil, errors.New("no Content-Length")
			}
			body = slices.Grow(reuse[:0], length)[:length]
			_, err = io.ReadFull(in, body)
			return status, body, err
		case len(line) > 16 && bytes.EqualFold(line[:15], []byte("Content-Length:")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[15:]))); err != nil {
				return 0, nil, err
			}
		}
	}
}

// fixed sends the same request again and again.
func fixed(request []byte) func(int) exchange {
	return func(int) exchange { return func([]byte) []byte { return request } }
}

// held are the refresh tokens callers ended their last measurement with.
var held = struct {
	sync.Mutex
	tokens map[int]string
}{tokens: make(map[int]string)}

// refreshing rotates one grant per caller, on and on.
func refreshing(a authorityInfo) func(int) exchange {
	return func(caller int) exchange {
		return func(last []byte) []byte {
			held.Lock()
			token, ok := held.tokens[caller]
			if next, found := field(last, `"refresh_token":"`); found {
				token, ok = next, true
				held.tokens[caller] = token
			}
			held.Unlock()
			if !ok {
				token = a.Refresh[caller]
			}
			return post(a.Addr, "/token", a.AppBasic, "grant_type=refresh_token&refresh_token="+token)
		}
	}
}

// introspecting asks for tokens in turn, which the authority has seen before
// after the first round.
func introspecting(a authorityInfo, tokens []string) func(int) exchange {
	requests := make([][]byte, len(tokens))
	for i, t := range tokens {
		requests[i] = post(a.Addr, "/introspect", a.ResourceBasic, "token="+url.QueryEscape(t))
	}
	return func(caller int) exchange {
		i := caller * 17
		return func([]byte) []byte {
			i++
			return requests[i%len(requests)]
		}
	}
}

// issueMany gets tokens from the authority, over a few connections.
func issueMany(ctx context.Context, a authorityInfo, n int) ([]string, error) {
	const connections = 16
	all, errs := make([][]string, connections), make([]error, connections)
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() { all[i], errs[i] = issueOver(ctx, a, (n+i)/connections) })
	}
	wg.Wait()
	return slices.Concat(all...), errors.Join(errs...)
}

// issueOver gets tokens over one connection.
func issueOver(ctx context.Context, a authorityInfo, n int) ([]string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	request := post(a.Addr, "/token", a.MachineBasic, "grant_type=client_credentials&scope=read")
	var tokens []string
	for range n {
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		status, body, err := readAnswer(in, nil)
		if err != nil {
			return nil, err
		}
		token, ok := field(body, `"access_token":"`)
		if status != 200 || !ok {
			return nil, fmt.Errorf("the authority answered %d", status)
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// field reads a string member out of JSON whose value needs no unescaping.
func field(body []byte, prefix string) (string, bool) {
	i := bytes.Index(body, []byte(prefix))
	if i < 0 {
		return "", false
	}
	rest := body[i+len(prefix):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return "", false
	}
	return string(rest[:end]), true
}
