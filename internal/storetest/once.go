package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/faultproxy"
	"github.com/jetonhq/jeton/internal/secret"
)

// once is a call that must happen once or not at all, whatever becomes of its way
// or of its caller.
type once struct {
	// do makes the call, each time with new ids of what it makes, as a client's next
	// request does.
	do func(context.Context) error
	// happened looks whether the last one did, and complains of halves.
	happened func() bool
	// repeated is what the call answers when it is made again.
	repeated error
}

// hot are the calls that clients make again when no answer came. Each entry
// prepares one, with everything that it needs.
var hot = map[string]func(w *world) once{
	"issue": func(w *world) once {
		v := w.newToken(w.standing("robot").ID)
		return once{
			func(ctx context.Context) error {
				return w.store.Issue(ctx, authority.Issue{Token: v, Now: w.now})
			},
			func() bool { return w.registered(v) }, authority.ErrConflict,
		}
	},
	"rotate": func(w *world) once {
		g := w.grant(w.session(w.account("rotate"+w.id().String()).ID), "app", true)
		var r authority.Rotation
		return once{
			func(ctx context.Context) error {
				r = w.rotation(g)
				return w.store.Rotate(ctx, r)
			},
			func() bool {
				got, err := w.store.Grant(w.Context(), g.ID)
				w.must(err)
				rotated := got.Generation == g.Generation+1
				w.wholly(rotated, r.Token)
				return rotated
			}, authority.ErrConflict,
		}
	},
	"redeem": func(w *world) once {
		c := w.code(w.session(w.account("redeem"+w.id().String()).ID), "app")
		var r authority.Redemption
		return once{
			func(ctx context.Context) error {
				r = w.redemption(c, true)
				return w.store.Redeem(ctx, r)
			},
			func() bool {
				got, err := w.store.Code(w.Context(), c.ID)
				w.must(err)
				used := got.GrantID == r.Grant.ID
				_, err = w.store.Grant(w.Context(), r.Grant.ID)
				w.same("used, and its grant there", err == nil, used)
				w.wholly(used, r.Token)
				return used
			}, authority.ErrUsed,
		}
	},
	"consume": func(w *world) once {
		v := w.counted(w.standing("robot").ID, 3)
		u := newUse(v)
		return once{
			func(ctx context.Context) error {
				outcomes, err := w.store.Consume(ctx, []authority.Use{u}, w.now)
				return errors.Join(append(outcomes, err)...)
			},
			func() bool {
				found, err := w.store.Tokens(w.Context(), []secret.ID{v.ID})
				w.must(err)
				left := *found[v.ID].Uses
				if left != 2 && left != 3 {
					w.Errorf("one use of 3 leaves %d", left)
				}
				return left == 2
			}, nil,
		}
	},
	"revoke": func(w *world) once {
		g := w.grant(w.session(w.account("revoke"+w.id().String()).ID), "app", true)
		_, before, err := w.store.Head(w.Context())
		w.must(err)
		r := w.revocation(authority.Revocation{Grant: g.ID})
		return once{
			func(ctx context.Context) error {
				_, err := w.store.Revoke(ctx, r)
				return err
			},
			func() bool {
				got, err := w.store.Grant(w.Context(), g.ID)
				w.must(err)
				ended := !got.EndedAt.IsZero()
				entries, err := w.store.Log(w.Context(), before, 10)
				w.must(err)
				want := 0
				if ended {
					want = 1
				}
				w.same("entries of the log", len(entries), want)
				return ended
			}, nil,
		}
	},
	"create ticket": func(w *world) once {
		v := w.newTicket("create"+w.id().String(), "value")
		return once{
			func(ctx context.Context) error { return w.store.CreateTicket(ctx, v, w.now) },
			func() bool {
				_, err := w.store.Ticket(w.Context(), v.Kind, v.Key, w.now)
				return err == nil
			}, authority.ErrConflict,
		}
	},
	"take ticket": func(w *world) once {
		v := w.ticket("take"+w.id().String(), "value")
		return once{
			func(ctx context.Context) error {
				_, err := w.store.TakeTicket(ctx, v.Kind, v.Key, w.now)
				return err
			},
			func() bool {
				_, err := w.store.Ticket(w.Context(), v.Kind, v.Key, w.now)
				return errors.Is(err, authority.ErrNotFound)
			}, authority.ErrNotFound,
		}
	},
}

func (w *world) registered(v authority.Token) bool {
	w.Helper()
	found, err := w.store.Tokens(w.Context(), []secret.ID{v.ID})
	w.must(err)
	_, there := found[v.ID]
	return there
}

// wholly wants the token of a call to be registered if the call happened, and not to
// be if it did not. A registry that is not in the database may have a token that was
// not given to anybody.
func (w *world) wholly(happened bool, v authority.Token) {
	w.Helper()
	if got := w.registered(v); got != happened && (happened || !w.expiring) {
		w.Errorf("happened %v, its token registered %v", happened, got)
	}
}

// settled holds a call that was answered with err to what it must be then, and
// makes it again. It returns whether the first one happened.
func (w *world) settled(c once, err error) bool {
	w.Helper()
	happened := c.happened()
	if err == nil && !happened {
		w.Error("it was answered, and has not happened")
	}
	for _, refusal := range []error{authority.ErrConflict, authority.ErrUsed, authority.ErrNotFound, authority.ErrEnded} {
		if errors.Is(err, refusal) {
			w.Errorf("it was refused (%v), though nobody else did anything", err)
		}
	}
	want := c.repeated
	if !happened {
		want = nil
	}
	w.want("made again", c.do(w.Context()), want)
	if want == nil && !c.happened() {
		w.Error("made again, and has not happened")
	}
	return happened
}

// Faults makes every hot call on a way to the database that loses one request, or
// the answer to one: the first of the call, the second, and so on. Each call has
// then happened or not, and can be made again.
//
// open opens a store that is reached through the proxy.
func Faults(t *testing.T, open func(t *testing.T) (authority.Store, *faultproxy.Proxy)) {
	for name, prepare := range hot {
		t.Run(name, func(t *testing.T) {
			store, way := open(t)
			w := &world{T: t, store: store, now: epoch}
			if faults, _ := w.lose(way, prepare, faultproxy.Request); faults == 0 {
				t.Error("no request was lost: the test has no power")
			}
			// How many requests a call takes depends on what its connection did before, so
			// that a commit may be missed.
			for try := 1; ; try++ {
				faults, happened := w.lose(way, prepare, faultproxy.Answer)
				if t.Logf("answers lost: %d, happened after all: %d", faults, happened); happened > 0 {
					break
				}
				if try == 5 {
					t.Fatal("no commit's answer was lost: the test has no power")
				}
			}
		})
	}
}

// lose makes calls of a kind until one loses nothing, and returns how many of them
// lost something, and how many of these happened after all.
func (w *world) lose(way *faultproxy.Proxy, prepare func(*world) once, lost faultproxy.Lost) (faults, happened int) {
	for {
		w.must(prepare(w).do(w.Context())) // whatever a new connection needs first is done
		c := prepare(w)
		way.Trip(faults+1, lost)
		err := c.do(w.Context())
		sprung := way.Sprung()
		way.Heal()
		if w.settled(c, err) && sprung && err != nil {
			happened++
		}
		if !sprung {
			return faults, happened
		}
		if faults++; faults > 50 {
			w.Fatal("the call never ends")
		}
	}
}

// testCancelled cancels every hot call after a longer and longer time. A call that
// is answered with the context's error never happened.
func testCancelled(w *world) {
	cancelled, finished := 0, 0
	for name, prepare := range hot {
		c := prepare(w)
		began := time.Now()
		w.must(c.do(w.Context()))
		for step, whole := 0, time.Since(began); step <= 12; step++ {
			c := prepare(w)
			ctx, cancel := context.WithTimeout(w.Context(), whole*time.Duration(step)/8)
			err := c.do(ctx)
			cancel()
			happened := w.settled(c, err)
			switch {
			case err == nil:
				finished++
			case !errors.Is(err, context.DeadlineExceeded):
				w.Errorf("%s: %v", name, err)
			case happened:
				w.Errorf("%s: answered with the context's error, and happened", name)
			default:
				cancelled++
			}
		}
	}
	w.Logf("%d calls were cancelled, %d finished", cancelled, finished)
	if cancelled == 0 || finished == 0 {
		w.Error("the test has no power")
	}
}
