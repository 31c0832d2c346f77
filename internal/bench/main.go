// Command bench measures the authority over HTTP against a bare net/http JSON
// POST handler, in one run on one machine: client credentials, refresh and
// introspection at 1, 16 and 64 callers, each with throughput, its ratio to the
// bare handler, and latency. The servers are processes of their own; the
// generator shares the machine with them, so only ratios mean something.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	var (
		role    = flag.String("role", "", "internal: bare or authority")
		cell    = flag.Duration("cell", 3*time.Second, "time for one measurement")
		callers = flag.String("callers", "1,16,64", "numbers of concurrent callers")
		stored  = flag.Int("stored", 0, "internal: live tokens to store before the authority serves")
		store   = flag.String("store", "", "`URL` of an empty PostgreSQL database (default: the embedded store)")
		profile = flag.String("profile", "", "write a CPU profile of the authority to this `file`")
		only    = flag.String("only", "", "measure only these, comma-separated: issue, refresh, introspect, half, stored, propagation")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch *role {
	case "bare":
		err = serveBare(ctx)
	case "authority":
		err = profiled(*profile, func() error { return serveAuthority(ctx, *store, *stored) })
	default:
		err = measure(ctx, *cell, *callers, *only, *profile, *store)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// child starts this program in another role and reads the line with which it
// says that it is ready.
func child(ctx context.Context, into any, args ...string) (pid int, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...) // #nosec G204 -- ourselves
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, nil, err
	}
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	line, err := bufio.NewReaderSize(out, 1<<20).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, into)
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	if err != nil {
		stop()
		return 0, nil, fmt.Errorf("the server %v did not start: %w", args, err)
	}
	return cmd.Process.Pid, stop, nil
}

// profiled runs f under the CPU profiler if file names a place for the result.
func profiled(file string, f func() error) error {
	if file == "" {
		return f()
	}
	out, err := os.Create(file) // #nosec G304 -- named by whoever runs the benchmark
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, out.Close())
}

type row struct {
	name    string
	callers int
	result  result
	base    float64
}

func measure(ctx context.Context, cell time.Duration, callerList, only, profile, store string) error {
	var counts []int
	for text := range strings.SplitSeq(callerList, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxCallers {
			return fmt.Errorf("callers must be numbers from 1 to %d", maxCallers)
		}
		counts = append(counts, n)
	}
	var bare bareInfo
	barePID, stopBare, err := child(ctx, &bare, "-role", "bare")
	if err != nil {
		return err
	}
	defer stopBare()
	var auth authorityInfo
	authPID, stopAuthority, err := child(ctx, &auth, "-role", "authority", "-profile", profile, "-store", store)
	if err != nil {
		return err
	}
	defer stopAuthority()

	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "what\tcallers\trequests/s\tx bare\tp50 ms\tp99 ms\tserver CPU us\terrors\t")
	print := func(r row) {
		ratio := "1.00"
		if r.base > 0 {
			ratio = fmt.Sprintf("%.2f", r.result.rate/r.base)
		}
		fmt.Fprintf(out, "%s\t%d\t%.0f\t%s\t%.2f\t%.2f\t%.0f\t%d\t\n", r.name, r.callers, r.result.rate, ratio,
			r.result.p50.Seconds()*1000, r.result.p99.Seconds()*1000, r.result.cpu.Seconds()*1e6, r.result.errors)
	}
	wanted := func(name string) bool { return only == "" || strings.Contains(","+only+",", ","+name+",") }
	for _, n := range counts {
		base := run(ctx, load{addr: bare.Addr, pid: barePID, callers: n, time: cell, next: fixed(post(bare.Addr, "/", "", formOf180))})
		print(row{"bare POST", n, base, 0})
		if wanted("issue") || wanted("half") {
			issue := post(auth.Addr, "/token", auth.MachineBasic, "grant_type=client_credentials&scope=read")
			r := run(ctx, load{addr: auth.Addr, pid: authPID, callers: n, time: cell, next: fixed(issue)})
			print(row{"client_credentials", n, r, base.rate})
			if wanted("half") {
				half := run(ctx, load{addr: auth.Addr, pid: authPID, callers: n, time: cell, pace: r.rate / 2, next: fixed(issue)})
				print(row{"client_credentials at half load", n, half, base.rate})
			}
		}
		if wanted("refresh") {
			print(row{"refresh", n, run(ctx, load{addr: auth.Addr, pid: authPID, callers: n, time: cell, next: refreshing(auth)}), base.rate})
		}
		if wanted("introspect") {
			tokens, err := issueMany(ctx, auth, 1000)
			if err != nil {
				return err
			}
			print(row{"introspect", n, run(ctx, load{addr: auth.Addr, pid: authPID, callers: n, time: cell, next: introspecting(auth, tokens)}), base.rate})
		}
		if err := out.Flush(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if wanted("stored") {
		if err := storedTokens(ctx, cell, auth, authPID, out); err != nil {
			return err
		}
	}
	if wanted("propagation") {
		return propagation(ctx, auth, authPID, out)
	}
	return nil
}

// formOf180 is a form of about 180 bytes, as token requests are.
var formOf180 = "grant_type=refresh_token&client_id=application&scope=read&refresh_token=" + strings.Repeat("x", 108)

// post is a whole request, ready to be written again and again.
func post(addr, path, basic, body string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", path, addr, len(body))
	if basic != "" {
		fmt.Fprintf(&b, "Authorization: Basic %s\r\n", basic)
	}
	b.WriteString("\r\n" + body)
	return []byte(b.String())
}

// serveBare is the floor: read a form, answer JSON of about 680 bytes.
func serveBare(ctx context.Context) error {
	body, err := json.Marshal(map[string]string{"access_token": strings.Repeat("t", 620), "token_type": "Bearer"})
	if err != nil {
		return err
	}
	return serveHandler(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") == "" {
			http.Error(w, "no form", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(body)
	}), func(addr string) any { return bareInfo{addr} })
}

// bareInfo is what the bare server says of itself.
type bareInfo struct{ Addr string }
