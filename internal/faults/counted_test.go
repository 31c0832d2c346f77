package faults_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
	"github.com/jetonhq/jeton/revocation"
)

const (
	countedUses     = 4
	countedRequests = 8
	countedCalls    = 24 // of one history
)

// spent is the answer that no use is left.
type spent struct{}

func (spent) Error() string { return "used up" }

// counted has several callers use a token that may be used so often, some of them
// asking again as they do when no answer came.
func (l *load) counted(r *rand.Rand) {
	got, err := l.tokens(l.t.Context(), l.any(r), "machine", "grant_type", "client_credentials", "uses", strconv.Itoa(countedUses))
	if err != nil {
		l.pause(r)
		return
	}
	jti := claims(l, got.access)
	requests := make([]revocation.ID, countedRequests)
	for i := range requests {
		requests[i] = revocation.ID(secret.Bytes(16))
	}
	h := new(history)
	var callers sync.WaitGroup
	for range 3 {
		mine := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		callers.Go(func() {
			for h.size() < countedCalls && !h.tooVague() && l.ctx.Err() == nil {
				at := l.any(mine)
				if mine.IntN(40) == 0 {
					l.record(h, op{kind: revokes, node: at.number}, func(ctx context.Context) (int, error) { return 0, l.revoke(ctx, at, "machine", got.access) })
				} else {
					n := mine.IntN(countedRequests)
					use := revocation.Use{ID: jti, Digest: secret.ShortDigest(got.access), Request: requests[n]}
					l.record(h, op{kind: consumes, node: at.number, number: n}, func(ctx context.Context) (int, error) { return 0, l.consume(ctx, at, use) })
				}
				l.pause(mine)
			}
		})
	}
	callers.Wait()
	h.check(l.t, countedModel(countedUses))
	l.count("histories of uses")
}

// consume asks for one use, as a guard does.
func (a *authority) consume(ctx context.Context, at *node, use revocation.Use) error {
	question, err := json.Marshal(revocation.Consumption{Uses: []revocation.Use{use}})
	must(a.t, err)
	var got revocation.Answer
	if err := a.ask(ctx, at, "/consume", "api", string(question), &got); err != nil {
		if _, refused := errors.AsType[*refusal](err); refused {
			a.t.Errorf("consume: %v", err)
		}
		return err
	}
	if len(got.Verdicts) != 1 {
		a.t.Errorf("consume: %d answers for one use", len(got.Verdicts))
		return errUnknown
	}
	switch got.Verdicts[0] {
	case "":
		return nil
	case oauth.ReasonNoUsesLeft:
		return spent{}
	default:
		return &refusal{}
	}
}

// claims reads the id of an access token.
func claims(l *load, token string) (jti revocation.ID) {
	var c struct {
		ID revocation.ID `json:"jti"`
	}
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(l.t, err)
	must(l.t, json.Unmarshal(raw, &c))
	return c.ID
}
