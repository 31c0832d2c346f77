package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/internal/spread"
)

// guards is how many guards follow the feed, each with its own connection.
const guards = 100

// revocations is how many tokens are revoked, one after the other, per
// measurement.
const revocations = 100

// propagation measures the time from the answer of a revocation to the refusal
// at each of 100 guards that are connected to node, and to the answer of
// introspection there: on a quiet machine, and with issuing on all cores.
func propagation(ctx context.Context, a authorityInfo, node string, pid int, out *tabwriter.Writer) error {
	id, secret, err := credentials(a.ResourceBasic)
	if err != nil {
		return err
	}
	all := make([]*jeton.Guard, guards)
	for i := range all {
		all[i], err = jeton.NewGuard(jeton.Config{
			Issuer: "http://" + a.Addr, Audience: "https://api.example.com", Client: jeton.ClientSecret(id, secret),
			Logger: slog.New(slog.DiscardHandler), HTTPClient: &http.Client{Transport: straightTo(node)},
		})
		if err != nil {
			return err
		}
		defer all[i].Close()
	}
	for _, g := range all {
		for !g.Ready() {
			if err := ctx.Err(); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}
	fmt.Fprintf(out, "revocation to refusal\tby\trevocations\tp50 ms\tp99 ms\tmax ms\t\n")
	for _, saturated := range []bool{false, true} {
		name := "idle machine"
		loadCtx, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		if saturated {
			name = "saturated by issuing"
			go func() {
				defer close(done)
				issue := post(a.Addr, "/token", a.MachineBasic, "grant_type=client_credentials&scope=read")
				run(loadCtx, load{addr: a.Addr, pid: pid, callers: 64, time: 5 * time.Minute, next: fixed(issue)})
			}()
		} else {
			close(done)
		}
		atGuards, err := revokeMany(ctx, a, all)
		var atNode []time.Duration
		if err == nil {
			atNode, err = revokeAndAsk(ctx, a, node)
		}
		stop()
		<-done
		if err != nil {
			return err
		}
		for by, delays := range map[string][]time.Duration{fmt.Sprint(guards, " guards"): atGuards, "introspection": atNode} {
			took := spread.Of(delays)
			ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
			fmt.Fprintf(out, "%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t\n", name, by, revocations, ms(took.P50), ms(took.P99), ms(took.Max))
		}
	}
	return out.Flush()
}

func revokeMany(ctx context.Context, a authorityInfo, all []*jeton.Guard) ([]time.Duration, error) {
	tokens, err := issueMany(ctx, a, revocations)
	if err != nil {
		return nil, err
	}
	var delays []time.Duration
	for _, token := range tokens {
		for _, g := range all {
			if _, err := g.Check(ctx, token); err != nil {
				return nil, fmt.Errorf("a live token is refused: %w", err)
			}
		}
		if err := revoke(ctx, a, token); err != nil {
			return nil, err
		}
		answered := time.Now()
		waiting := slices.Clone(all)
		for len(waiting) > 0 {
			waiting = slices.DeleteFunc(waiting, func(g *jeton.Guard) bool {
				if _, err := g.Check(ctx, token); err == nil {
					return false
				}
				delays = append(delays, time.Since(answered))
				return true
			})
			if time.Since(answered) > 10*time.Second {
				return nil, errors.New("a revoked token is accepted after 10 s")
			}
		}
	}
	return delays, nil
}

// revokeAndAsk asks the node about each token, again and again once its revocation
// was answered. A delay ends with the answer that refuses.
func revokeAndAsk(ctx context.Context, a authorityInfo, node string) ([]time.Duration, error) {
	tokens, err := issueMany(ctx, a, revocations)
	if err != nil {
		return nil, err
	}
	var delays []time.Duration
	for _, token := range tokens {
		if active, err := ask(ctx, a, node, token); err != nil || !active {
			return nil, errors.Join(errors.New("a live token is refused"), err)
		}
		if err := revoke(ctx, a, token); err != nil {
			return nil, err
		}
		answered := time.Now()
		for active := true; active; {
			if active, err = ask(ctx, a, node, token); err != nil {
				return nil, err
			}
			if time.Since(answered) > 10*time.Second {
				return nil, errors.New("a revoked token is active after 10 s")
			}
		}
		delays = append(delays, time.Since(answered))
	}
	return delays, nil
}

func ask(ctx context.Context, a authorityInfo, node, token string) (active bool, err error) {
	body, err := submit(ctx, "http://"+node+"/introspect", a.ResourceBasic, token)
	return strings.Contains(string(body), `"active":true`), err
}

// straightTo connects to a node, whichever host is asked for.
func straightTo(node string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, node)
	}}
}

func revoke(ctx context.Context, a authorityInfo, token string) error {
	_, err := submit(ctx, "http://"+a.Addr+"/revoke", a.MachineBasic, token)
	return err
}

// submit posts a token and returns the body of the answer.
func submit(ctx context.Context, address, basic, token string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Basic "+basic)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s is answered with %d", req.URL.Path, resp.StatusCode)
	}
	return body, err
}

func credentials(basic string) (id, secret string, err error) {
	b, err := base64.StdEncoding.DecodeString(basic)
	if err != nil {
		return "", "", err
	}
	id, secret, _ = strings.Cut(string(b), ":")
	return id, secret, nil
}
