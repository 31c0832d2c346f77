package faults_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jetonhq/jeton/client"
)

func isSignedOut(err error) bool { return errors.Is(err, client.ErrSignInAgain) }

const (
	lineageCallers = 3
	lineageCalls   = 45 // of one history
	afterTheEnd    = 10 // calls that go on once a grant has ended
)

// family is a code and the grant that it made, as its callers know it together.
type family struct {
	*load
	history
	code string

	mu     sync.Mutex
	known  []string // refresh tokens by generation; guarded by mu, as are the fields below
	access []string
	ends   int // history's size when an end was answered, 0 before
	over   time.Duration
}

// lineage has several callers refresh, revoke and ask about one grant, some of
// them with tokens that are not the last, until it has ended or lived long.
func (l *load) lineage(r *rand.Rand) {
	code, err := l.browser.code(l.t.Context(), l.any(r))
	if err != nil {
		l.pause(r)
		return
	}
	f := &family{load: l, code: code}
	for f.redeemed(r); f.generation() < 0 && f.size() < 5 && l.ctx.Err() == nil; f.redeemed(r) {
		l.pause(r)
	}
	var callers sync.WaitGroup
	for range lineageCallers {
		mine := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		callers.Go(func() {
			for f.generation() >= 0 && f.goesOn() {
				f.step(mine)
				l.pause(mine)
			}
		})
	}
	callers.Wait()
	f.check(l.t, lineageModel)
	f.wantNoneAfterTheEnd()
	l.count("histories")
}

func (f *family) goesOn() bool {
	n, vague := f.size(), f.tooVague()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ctx.Err() == nil && n < lineageCalls && !vague && (f.ends == 0 || n < f.ends+afterTheEnd)
}

// generation is the highest that is known, -1 for none.
func (f *family) generation() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.known) - 1
}

func (f *family) step(r *rand.Rand) {
	switch dice := r.IntN(100); {
	case dice < 58:
		f.refreshed(r, 0)
	case dice < 70:
		f.refreshed(r, 1)
	case dice < 73:
		f.refreshed(r, 2)
	case dice < 75:
		f.redeemed(r)
	case dice < 78:
		f.revoked(r)
	default:
		f.introspected(r)
	}
}

func (f *family) redeemed(r *rand.Rand) {
	at := f.any(r)
	f.record(&f.history, op{kind: redeems, node: at.number}, func(ctx context.Context) (int, error) {
		got, err := f.redeem(ctx, at, f.code)
		return f.learn(got, err), err
	})
}

// refreshed presents the newest token that is known, or one older by so many.
func (f *family) refreshed(r *rand.Rand, older int) {
	at := f.any(r)
	f.mu.Lock()
	number := max(0, len(f.known)-1-older)
	token := f.known[number]
	f.mu.Unlock()
	f.record(&f.history, op{kind: refreshes, node: at.number, number: number}, func(ctx context.Context) (int, error) {
		got, err := f.refresh(ctx, at, token)
		return f.learn(got, err), err
	})
}

// revoked revokes at one node, and then at another one, which may not have heard
// of it: it knows of the token, and its answer counts as much.
func (f *family) revoked(r *rand.Rand) {
	at, other := f.any(r), f.any(r)
	f.mu.Lock()
	token, access := f.known[len(f.known)-1], f.access[r.IntN(len(f.access))]
	f.mu.Unlock()
	f.introspectedAt(other, access)
	for _, n := range []*node{at, other} {
		got := f.record(&f.history, op{kind: revokes, node: n.number}, func(ctx context.Context) (int, error) { return 0, f.revoke(ctx, n, "web", token) })
		if got == yes {
			f.answered()
		}
	}
	f.introspectedAt(other, access)
}

// answered notes when a revocation was answered first.
func (f *family) answered() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over == 0 {
		f.over = time.Since(epoch)
	}
}

func (f *family) introspected(r *rand.Rand) {
	f.mu.Lock()
	token := f.access[r.IntN(len(f.access))]
	f.mu.Unlock()
	f.introspectedAt(f.any(r), token)
}

func (f *family) introspectedAt(at *node, token string) {
	f.record(&f.history, op{kind: introspects, node: at.number}, func(ctx context.Context) (int, error) {
		alive, err := f.active(ctx, at, token)
		if err == nil && !alive {
			err = f.end(&refusal{})
		}
		return 0, err
	})
}

// learn takes over what was answered, and returns its generation. Two tokens of
// one generation would be a fork.
func (f *family) learn(got tokens, err error) int {
	if err != nil {
		_ = f.end(err)
		return 0
	}
	g := generation(f.t, got.refresh)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.access = append(f.access, got.access)
	for len(f.known) <= g {
		f.known = append(f.known, "")
	}
	if f.known[g] != "" && f.known[g] != got.refresh {
		f.t.Errorf("-seed %d: two refresh tokens of generation %d", *seed, g)
	}
	f.known[g] = got.refresh
	return g
}

// end notes an answer that says that the grant has ended.
func (f *family) end(err error) error {
	if _, refused := errors.AsType[*refusal](err); refused {
		n := f.size()
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.ends == 0 {
			f.ends = n + 1
		}
	}
	return err
}

// wantNoneAfterTheEnd: whatever the specification makes of it, no refresh that
// began after a revocation was answered is honoured.
func (f *family) wantNoneAfterTheEnd() {
	for _, o := range f.ops {
		if f.over > 0 && o.kind == refreshes && o.answer == yes && o.call > f.over {
			f.t.Errorf("-seed %d: a refresh was honoured after the revocation of its grant was answered", *seed)
		}
	}
}
