package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/oauth"
)

// manyTokens is how many live tokens the full store holds.
const manyTokens = 1_000_000

// storedTokens compares an empty store with one that holds a million live
// tokens: issuing, and introspecting tokens that were not seen before. The two
// take turns, so that what else the machine does hits both.
func storedTokens(ctx context.Context, cell time.Duration, empty authorityInfo, emptyPID int, out *tabwriter.Writer) error {
	var full authorityInfo
	fullPID, stop, err := child(ctx, &full, "-role", "authority", "-stored", strconv.Itoa(manyTokens))
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(out, "stored tokens\tempty req/s\t%d tokens req/s\tratio\t\n", manyTokens)
	const rounds = 3
	for _, what := range []string{"client_credentials", "introspect unseen"} {
		var sum [2]float64
		for range rounds {
			for i, side := range []struct {
				info authorityInfo
				pid  int
			}{{empty, emptyPID}, {full, fullPID}} {
				next := fixed(post(side.info.Addr, "/token", side.info.MachineBasic, "grant_type=client_credentials&scope=read"))
				took := cell
				if what != "client_credentials" {
					tokens, err := issueMany(ctx, side.info, 4000)
					if err != nil {
						return err
					}
					next, took = once(side.info, tokens), time.Minute
				}
				r := run(ctx, load{addr: side.info.Addr, pid: side.pid, callers: 64, time: took, next: next})
				sum[i] += r.rate
			}
		}
		fmt.Fprintf(out, "%s\t%.0f\t%.0f\t%.2f\t\n", what, sum[0]/rounds, sum[1]/rounds, sum[1]/sum[0])
	}
	fmt.Fprintf(out, "bytes on disk per stored token\t\t%.0f\t\t\n", full.BytesPerToken)
	return out.Flush()
}

// once introspects each token a single time and then stops.
func once(a authorityInfo, tokens []string) func(int) exchange {
	var mu sync.Mutex
	return func(int) exchange {
		return func([]byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			if len(tokens) == 0 {
				return nil
			}
			token := tokens[0]
			tokens = tokens[1:]
			return post(a.Addr, "/introspect", a.ResourceBasic, "token="+token)
		}
	}
}

// fill registers live tokens under the machine's standing grant.
func fill(ctx context.Context, s *server.Server, path string, n int, info *authorityInfo) error {
	if n == 0 {
		return nil
	}
	store := s.Parts().Store
	now := time.Now()
	until := now.Add(24 * time.Hour)
	g, err := store.OpenStanding(ctx, authority.Grant{
		ID: secret.NewID(now), Type: oauth.ClientCredentials, ClientID: "machine", CreatedAt: now, IdleUntil: until, ExpiresAt: until,
	}, authority.Event{ID: secret.NewID(now), Type: authority.EventGrantCreated, Actor: authority.System})
	if err != nil {
		return err
	}
	before := databaseSize(path)
	const workers = 256
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range n / workers {
				id := secret.NewID(time.Now())
				token := authority.Token{ID: id, GrantID: g.ID, Digest: secret.ShortDigest(id.String()), ExpiresAt: until}
				if errs[w] = store.Issue(ctx, authority.Issue{Token: token, Now: now}); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	info.BytesPerToken = float64(databaseSize(path)-before) / float64(n)
	return errors.Join(errs...)
}

// databaseSize is the database without its log, which is of bounded size.
func databaseSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
