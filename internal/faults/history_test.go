package faults_test

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// history is what the callers of one grant, or of one counted token, did and were
// answered.
type history struct {
	mu       sync.Mutex
	ops      []op // guarded by mu
	unknowns int  // guarded by mu
}

// op is one call.
type op struct {
	kind   kind
	node   int
	number int // generation that was presented, or number of the request
	answer answer
	got    int // generation that was answered
	call   time.Duration
	back   time.Duration
}

type kind string

const (
	redeems     kind = "redeem"
	refreshes   kind = "refresh"
	revokes     kind = "revoke"
	introspects kind = "introspect"
	consumes    kind = "consume"

	// answers is no call: it is the moment in which a node has said that a grant has
	// ended. Others may learn that it has before, from the database, but from then on
	// this node refuses its tokens.
	answers kind = "answer"
)

// answer is what was said. Of an unknown one nobody can say whether the call
// happened, and when: it may be still under way.
type answer string

const (
	yes     answer = "yes"
	no      answer = "no" // or: not active
	usedUp  answer = "used up"
	unknown answer = "unknown"
)

// epoch is when the clock of the histories began.
var epoch = time.Now()

// do makes a call and writes it down. What never happened is not written down.
func (h *history) do(o op, call func() (answer, int, error)) answer {
	o.call = time.Since(epoch)
	var err error
	o.answer, o.got, err = call()
	o.back = time.Since(epoch)
	if o.answer == unknown {
		o.back = math.MaxInt64
	}
	if !errors.Is(err, errNever) {
		h.mu.Lock()
		h.ops = append(h.ops, o)
		if o.answer == unknown {
			h.unknowns++
		}
		h.mu.Unlock()
	}
	return o.answer
}

func (h *history) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// tooVague reports whether so much is unknown that a check takes too long: each
// call without an answer may have happened at any time since, or not.
func (h *history) tooVague() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unknowns >= 8
}

// endAnswered reports whether the answer says that the grant has ended, and so that
// the node has waited until it knows.
func (o op) endAnswered() bool {
	return o.kind == revokes && o.answer == yes || o.kind == redeems && o.answer == no
}

func (o op) String() string {
	back := "never"
	if o.back != math.MaxInt64 {
		back = fmt.Sprint(o.back.Round(time.Microsecond))
	}
	return fmt.Sprintf("%v … %s  node %d: %s %d -> %s %d", o.call.Round(time.Microsecond), back, o.node, o.kind, o.number, o.answer, o.got)
}

// holds holds a history against a specification.
func (h *history) holds(m porcupine.Model) porcupine.CheckResult {
	var ops []porcupine.Operation
	add := func(o op) {
		ops = append(ops, porcupine.Operation{ClientId: len(ops), Input: o, Output: o.answer, Call: int64(o.call), Return: int64(o.back)})
	}
	for _, o := range h.ops {
		add(o)
		if o.endAnswered() {
			add(op{kind: answers, node: o.node, answer: yes, call: o.back, back: o.back})
		}
	}
	return porcupine.CheckOperationsTimeout(m, ops, time.Minute)
}

// check fails the test with the history if it is not linearizable.
func (h *history) check(t testing.TB, m porcupine.Model) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if verdict := h.holds(m); verdict != porcupine.Ok {
		slices.SortFunc(h.ops, func(a, b op) int { return cmp.Compare(a.call, b.call) })
		var lines []string
		for _, o := range h.ops {
			lines = append(lines, o.String())
		}
		t.Errorf("-seed %d: this history is %s:\n%s", *seed, map[porcupine.CheckResult]string{
			porcupine.Illegal: "not linearizable", porcupine.Unknown: "too long to check",
		}[verdict], strings.Join(lines, "\n"))
	}
}
