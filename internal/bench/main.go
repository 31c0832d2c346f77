// Command bench measures the authority over HTTP against a bare net/http JSON
// POST handler, in one run on one machine: client credentials, refresh and
// introspection at 1, 16 and 64 callers, each with throughput, its ratio to the
// bare handler, and latency. The servers are processes of their own; the
// generator shares the machine with them, so only ratios mean something.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
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

	"github.com/jetonhq/jeton/internal/secret"
)

func main() {
	var (
		role    = flag.String("role", "", "internal: bare or authority")
		cell    = flag.Duration("cell", 3*time.Second, "time for one measurement")
		callers = flag.String("callers", "1,16,64", "numbers of concurrent callers")
		stored  = flag.Int("stored", 0, "internal: live tokens to store before the authority serves")
		store   = flag.String("store", "", "`URL` of an empty PostgreSQL database (default: the embedded store)")
		redis   = flag.String("registry", "", "`URL` of an empty Redis for the registry (default: the store keeps it)")
		issuer  = flag.String("issuer", "", "internal: be another node of this authority")
		nodes   = flag.Bool("two-nodes", false, "with -store: guards and introspection are at another node than revocations")
		profile = flag.String("profile", "", "write a CPU profile of the authority to this `file`")
		dbPID   = flag.Int("database-pid", 0, "first process of the database: measure what it and its children use of the processors")
		only    = flag.String("only", "", "measure only these, comma-separated: issue, refresh, introspect, unseen, half, stored, propagation")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch *role {
	case "bare":
		err = serveBare(ctx)
	case "authority":
		err = profiled(*profile, func() error { return serveAuthority(ctx, *store, *redis, *issuer, *stored) })
	default:
		err = measure(ctx, options{*cell, *callers, *only, *profile, *store, *redis, *dbPID, *nodes})
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

// options are what the flags say about a measurement.
type options struct {
	cell          time.Duration
	callers, only string
	profile       string
	store         string
	registry      string
	dbPID         int
	twoNodes      bool
}

func (o options) counts() ([]int, error) {
	var counts []int
	for text := range strings.SplitSeq(o.callers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxCallers {
			return nil, fmt.Errorf("callers must be numbers from 1 to %d", maxCallers)
		}
		counts = append(counts, n)
	}
	return counts, nil
}

func (o options) wanted(name string) bool {
	return o.only == "" || strings.Contains(","+o.only+",", ","+name+",")
}

func measure(ctx context.Context, o options) error {
	counts, err := o.counts()
	if err != nil {
		return err
	}
	if o.twoNodes && o.store == "" {
		return errors.New("two nodes need -store")
	}
	if err := os.Setenv(sealingVariable, base64.StdEncoding.EncodeToString(secret.Bytes(32))); err != nil {
		return err
	}
	var bare bareInfo
	_, stopBare, err := child(ctx, &bare, "-role", "bare")
	if err != nil {
		return err
	}
	defer stopBare()
	var auth authorityInfo
	authPID, stopAuthority, err := child(ctx, &auth, "-role", "authority", "-profile", o.profile, "-store", o.store, "-registry", o.registry)
	if err != nil {
		return err
	}
	defer stopAuthority()

	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "what\tcallers\trequests/s\tbare\tx bare\tp50 ms\tp99 ms\tserver CPU us\tdatabase CPU us\terrors\t")
	for _, n := range counts {
		c := cells{o, n, bare, auth, authPID, out}
		c.print("bare POST", c.bare(ctx), 0)
		if err := c.all(ctx); err != nil {
			return err
		}
	}
	if o.wanted("stored") {
		if err := storedTokens(ctx, o.cell, auth, authPID, out); err != nil {
			return err
		}
	}
	if !o.wanted("propagation") {
		return nil
	}
	other := auth
	if o.twoNodes {
		_, stopOther, err := child(ctx, &other, "-role", "authority", "-store", o.store, "-registry", o.registry, "-issuer", "http://"+auth.Addr)
		if err != nil {
			return err
		}
		defer stopOther()
	}
	return propagation(ctx, auth, other.Addr, authPID, out)
}

// cells measures with one number of callers.
type cells struct {
	options
	n     int
	floor bareInfo
	auth  authorityInfo
	pid   int // of the authority
	out   *tabwriter.Writer
}

func (c *cells) bare(ctx context.Context) result {
	return run(ctx, load{addr: c.floor.Addr, pid: c.floor.PID, callers: c.n, time: c.cell, next: fixed(post(c.floor.Addr, "/", "", formOf180))})
}

func (c *cells) all(ctx context.Context) error {
	if c.wanted("issue") || c.wanted("half") {
		issue := fixed(post(c.auth.Addr, "/token", c.auth.MachineBasic, "grant_type=client_credentials&scope=read"))
		rate := c.measure(ctx, "client_credentials", issue, c.cell, 0)
		if c.wanted("half") {
			c.measure(ctx, "client_credentials at half load", issue, c.cell, rate/2)
		}
	}
	if c.wanted("refresh") {
		c.measure(ctx, "refresh", refreshing(c.auth), c.cell, 0)
	}
	if c.wanted("introspect") {
		tokens, err := issueMany(ctx, c.auth, 1000)
		if err != nil {
			return err
		}
		c.measure(ctx, "introspect", introspecting(c.auth, tokens), c.cell, 0)
	}
	if c.wanted("unseen") {
		tokens, err := issueMany(ctx, c.auth, unseenTokens)
		if err != nil {
			return err
		}
		c.measure(ctx, "introspect unseen", once(c.auth, tokens), time.Minute, 0)
	}
	return errors.Join(c.out.Flush(), ctx.Err())
}

// unseenTokens are enough for a few seconds.
const unseenTokens = 12_000

// measure is one measurement of the authority, and a row of the table. It is
// compared with the bare handler just before and just after it: on a machine that
// does other things as well, a minute ago is another machine.
func (c *cells) measure(ctx context.Context, name string, next func(int) exchange, took time.Duration, pace float64) (rate float64) {
	before := c.bare(ctx)
	r := run(ctx, load{addr: c.auth.Addr, pid: c.pid, dbPID: c.dbPID, callers: c.n, time: took, pace: pace, next: next})
	c.print(name, r, (before.rate+c.bare(ctx).rate)/2)
	return r.rate
}

// print adds a row; base is the rate of the bare handler, 0 for its own row.
func (c *cells) print(name string, r result, base float64) {
	ratio := "1.00"
	if base > 0 {
		ratio = fmt.Sprintf("%.2f", r.rate/base)
	}
	us := func(d time.Duration) float64 { return d.Seconds() * 1e6 }
	fmt.Fprintf(c.out, "%s\t%d\t%.0f\t%.0f\t%s\t%.2f\t%.2f\t%.0f\t%.0f\t%d\t\n", name, c.n, r.rate, base, ratio,
		us(r.took.P50)/1000, us(r.took.P99)/1000, us(r.cpu), us(r.dbCPU), r.errors)
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
	}), func(addr string) any { return bareInfo{addr, os.Getpid()} })
}

// bareInfo is what the bare server says of itself.
type bareInfo struct {
	Addr string
	PID  int
}
