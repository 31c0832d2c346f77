package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
// at each of 100 connected guards: on a quiet machine, and with issuing on all
// cores.
func propagation(ctx context.Context, a authorityInfo, pid int, out *tabwriter.Writer) error {
	id, secret, err := credentials(a.ResourceBasic)
	if err != nil {
		return err
	}
	all := make([]*jeton.Guard, guards)
	for i := range all {
		all[i], err = jeton.NewGuard(jeton.Config{
			Issuer: "http://" + a.Addr, Audience: "https://api.example.com", Client: jeton.ClientSecret(id, secret),
			Logger: slog.New(slog.DiscardHandler),
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
	fmt.Fprintf(out, "revocation to refusal\tguards\trevocations\tp50 ms\tp99 ms\tmax ms\t\n")
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
		delays, err := revokeMany(ctx, a, all)
		stop()
		<-done
		if err != nil {
			return err
		}
		took := spread.Of(delays)
		ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
		fmt.Fprintf(out, "%s\t%d\t%d\t%.2f\t%.2f\t%.2f\t\n", name, guards, revocations, ms(took.P50), ms(took.P99), ms(took.Max))
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

func revoke(ctx context.Context, a authorityInfo, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.Addr+"/revoke", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Basic "+a.MachineBasic)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("revocation answered %d", resp.StatusCode)
	}
	return nil
}

func credentials(basic string) (id, secret string, err error) {
	b, err := base64.StdEncoding.DecodeString(basic)
	if err != nil {
		return "", "", err
	}
	id, secret, _ = strings.Cut(string(b), ":")
	return id, secret, nil
}
