package faults_test

import (
	"math"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// lineage is the state of a code and of the grant that it makes.
type lineage struct {
	redeemed   bool
	generation int
	ended      bool
	refusing   uint8 // nodes that have answered its end: they refuse its tokens from then on
}

// lineageModel is DESIGN 4.2 and RFC 6749 section 4.1.2 as one thing after the
// other: a code is redeemed once and a second time ends what it made; the current
// generation is rotated, its predecessor is answered with the current one, an
// older one ends the grant; what has ended is refused for good, at once by the
// node that answered its end, and by others when they hear of it.
var lineageModel = porcupine.Model{
	Init: func() any { return lineage{} },
	Step: func(state, input, _ any) (bool, any) {
		s, ok := stepLineage(state.(lineage), input.(op))
		return ok, s
	},
}

func stepLineage(s lineage, o op) (lineage, bool) {
	switch o.kind {
	case redeems:
		return s.redeem(o)
	case refreshes:
		return s.refresh(o)
	case revokes:
		s.ended = true
		return s, o.answer != no
	case answers:
		s.refusing |= 1 << o.node
		return s, s.ended
	case introspects:
		return s, o.answer == unknown || o.answer == no && s.ended || o.answer == yes && (!s.ended || s.refusing&(1<<o.node) == 0)
	default:
		return s, false
	}
}

func (s lineage) redeem(o op) (lineage, bool) {
	if !s.redeemed {
		s.redeemed = true
		return s, o.answer == unknown || o.answer == yes && o.got == 0
	}
	s.ended = true
	return s, o.answer != yes
}

func (s lineage) refresh(o op) (lineage, bool) {
	switch {
	case s.ended:
		return s, o.answer != yes
	case o.number <= s.generation-2:
		s.ended = true
		return s, o.answer != yes
	case o.number == s.generation:
		s.generation++
	case o.number != s.generation-1:
		return s, false // a generation that nobody has been given
	}
	return s, o.answer == unknown || o.answer == yes && o.got == s.generation
}

// counted is the state of a token that may be used so often.
type counted struct {
	left    int
	asked   uint64 // requests that were counted
	revoked bool
}

// countedModel: of N uses N are counted, each request once however often it is
// asked, and none after the token was revoked.
func countedModel(uses int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return counted{left: uses} },
		Step: func(state, input, _ any) (bool, any) {
			s, ok := stepCounted(state.(counted), input.(op))
			return ok, s
		},
	}
}

func stepCounted(s counted, o op) (counted, bool) {
	switch o.kind {
	case answers:
		return s, true
	case revokes:
		s.revoked = true
		return s, o.answer != no
	default:
	}
	request := uint64(1) << o.number
	switch {
	case s.revoked:
		return s, o.answer == no || o.answer == unknown
	case s.asked&request != 0:
		return s, o.answer == yes || o.answer == unknown
	case s.left == 0:
		return s, o.answer == usedUp || o.answer == unknown
	}
	s.left--
	s.asked |= request
	return s, o.answer == yes || o.answer == unknown
}

// The specifications accept what is right and refuse what is wrong: a suite whose
// checker accepts everything shows nothing.
func TestModels(t *testing.T) {
	// Calls that follow each other. A call without an answer goes on.
	calls := func(ops ...op) *history {
		h := new(history)
		for i, o := range ops {
			o.call, o.back = time.Duration(2*i), time.Duration(2*i+1)
			if o.answer == unknown {
				o.back = math.MaxInt64
			}
			h.ops = append(h.ops, o)
		}
		return h
	}
	redeem := func(a answer) op { return op{kind: redeems, answer: a} }
	refresh := func(g int, a answer, got int) op { return op{kind: refreshes, number: g, answer: a, got: got} }
	revoke := func(node int, a answer) op { return op{kind: revokes, node: node, answer: a} }
	active := func(node int, a answer) op { return op{kind: introspects, node: node, answer: a} }
	use := func(request int, a answer) op { return op{kind: consumes, number: request, answer: a} }
	grants, uses := lineageModel, countedModel(2)
	tests := []struct {
		name  string
		model porcupine.Model
		ops   *history
		want  porcupine.CheckResult
	}{
		{"a life", grants, calls(redeem(yes), refresh(0, yes, 1), refresh(1, yes, 2), active(0, yes), revoke(0, yes), refresh(2, no, 0), active(0, no)), porcupine.Ok},
		{"a code twice", grants, calls(redeem(yes), redeem(yes)), porcupine.Illegal},
		{"a replayed code ends the grant", grants, calls(redeem(yes), redeem(no), refresh(0, no, 0), active(0, no)), porcupine.Ok},
		{"a grant survives the replay of its code", grants, calls(redeem(yes), redeem(no), refresh(0, yes, 1)), porcupine.Illegal},
		{"a code whose answer was lost", grants, calls(redeem(unknown), redeem(no)), porcupine.Ok},
		{"a code whose request was lost", grants, calls(redeem(unknown), redeem(yes)), porcupine.Ok},
		{"the predecessor again", grants, calls(redeem(yes), refresh(0, yes, 1), refresh(0, yes, 1), refresh(1, yes, 2)), porcupine.Ok},
		{"a fork", grants, calls(redeem(yes), refresh(0, yes, 1), refresh(0, yes, 2)), porcupine.Illegal},
		{"a rotation that is lost", grants, calls(redeem(yes), refresh(0, yes, 1), refresh(1, yes, 2), refresh(0, yes, 1)), porcupine.Illegal},
		{"a replay ends the grant", grants, calls(redeem(yes), refresh(0, yes, 1), refresh(1, yes, 2), refresh(0, no, 0), refresh(2, no, 0)), porcupine.Ok},
		{"a grant survives a replay", grants, calls(redeem(yes), refresh(0, yes, 1), refresh(1, yes, 2), refresh(0, no, 0), refresh(2, yes, 3)), porcupine.Illegal},
		{"an honest client is refused", grants, calls(redeem(yes), refresh(0, no, 0)), porcupine.Illegal},
		{"a refresh whose answer was lost", grants, calls(redeem(yes), refresh(0, unknown, 0), refresh(0, yes, 1), refresh(1, yes, 2)), porcupine.Ok},
		{"a refresh that is rotated twice", grants, calls(redeem(yes), refresh(0, unknown, 0), refresh(0, yes, 2)), porcupine.Illegal},
		{"a refresh after the answer of a revocation", grants, calls(redeem(yes), revoke(0, yes), refresh(0, yes, 1)), porcupine.Illegal},
		{"a refresh after a revocation without an answer", grants, calls(redeem(yes), revoke(0, unknown), refresh(0, yes, 1), refresh(1, no, 0)), porcupine.Ok},
		{"ended, and alive again", grants, calls(redeem(yes), revoke(0, unknown), refresh(0, no, 0), refresh(0, yes, 1)), porcupine.Illegal},
		{"alive where its end was answered", grants, calls(redeem(yes), revoke(0, yes), active(0, yes)), porcupine.Illegal},
		{"alive where its end was not heard of", grants, calls(redeem(yes), revoke(0, yes), active(1, yes), active(1, no)), porcupine.Ok},
		{"alive where its end was answered second", grants, calls(redeem(yes), revoke(0, yes), revoke(1, yes), active(1, yes)), porcupine.Illegal},
		{"alive before its end is answered", grants, &history{ops: []op{
			{kind: redeems, answer: yes, back: 1}, {kind: revokes, answer: yes, call: 2, back: 9},
			{kind: refreshes, answer: no, call: 3, back: 4}, {kind: introspects, answer: yes, call: 5, back: 6}, {kind: introspects, answer: no, call: 10, back: 11},
		}}, porcupine.Ok},
		{"dead without an end", grants, calls(redeem(yes), active(0, no)), porcupine.Illegal},

		{"two of two", uses, calls(use(0, yes), use(0, yes), use(1, yes), use(2, usedUp), use(1, yes)), porcupine.Ok},
		{"three of two", uses, calls(use(0, yes), use(1, yes), use(2, yes)), porcupine.Illegal},
		{"one of two", uses, calls(use(0, yes), use(0, yes), use(1, usedUp)), porcupine.Illegal},
		{"a use whose answer was lost", uses, calls(use(0, unknown), use(1, yes), use(2, usedUp)), porcupine.Ok},
		{"a use whose answer was lost is counted once", uses, calls(use(0, unknown), use(0, yes), use(1, yes)), porcupine.Ok},
		{"a use whose answer was lost is counted twice", uses, calls(use(0, unknown), use(0, yes), use(1, usedUp)), porcupine.Illegal},
		{"an answered use is forgotten", uses, calls(use(0, yes), use(1, yes), use(2, usedUp), use(0, usedUp)), porcupine.Illegal},
		{"a use after the revocation", uses, calls(use(0, yes), revoke(0, yes), use(1, yes)), porcupine.Illegal},
		{"a revoked token", uses, calls(use(0, yes), revoke(0, yes), use(0, no), use(1, no)), porcupine.Ok},
	}
	for _, test := range tests {
		if got := test.ops.holds(test.model); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}
