package keys_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/keys"
	"github.com/jetonhq/jeton/jwk"
)

// follower is a verifier that knows nothing but the published set, which it keeps
// for as long as it was told.
type follower struct {
	set   *jwk.Set
	until time.Time
}

// signed is a token, as far as keys go.
type signed struct {
	kid     string
	expires time.Time
}

// model is what may happen to keys: time passes, nodes look or are stopped or cut
// off, operators make what steps they are allowed, and tokens are signed.
type model struct {
	*world
	verifiers []follower
	tokens    []signed
	refused   map[string]bool // keys that were compromised
	unstaged  map[string]time.Time
}

const tokenLife = time.Hour

func (m *model) node(t *rapid.T) *node {
	return m.nodes[rapid.IntRange(0, len(m.nodes)-1).Draw(t, "node")]
}

// verify checks that a verifier accepts a key now, fetching the set if what it has
// is no longer good, from a node that has one. While no node has, it cannot know.
func (m *model) verify(t *rapid.T, v *follower, kid string) bool {
	for range m.nodes {
		if m.now.Before(v.until) {
			return len(v.set.Lookup(kid)) > 0
		}
		if set, keep, err := m.node(t).Published(); err == nil {
			v.set, v.until = set, m.now.Add(keep)
		}
	}
	return !m.now.Before(v.until) || len(v.set.Lookup(kid)) > 0
}

// Sign lets a node sign, and every verifier check it at once.
func (m *model) Sign(t *rapid.T) {
	n := m.node(t)
	key, err := n.AccessSigner()
	if errors.Is(err, keys.ErrStale) && n.cut.Load() {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if m.refused[key.ID()] && !n.cut.Load() {
		// A node reads the rings as soon as the log tells it to, which is not part of this model.
		if err := n.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
	if m.refused[key.ID()] {
		return // refused by the feed
	}
	m.tokens = append(m.tokens, signed{key.ID(), m.now.Add(tokenLife)})
	m.tokens = slices.CompactFunc(m.tokens, func(a, b signed) bool { return a == b })
	m.Verify(t)
}

// Verify holds every token that lives against every verifier.
func (m *model) Verify(t *rapid.T) {
	live := m.tokens[:0]
	for _, token := range m.tokens {
		if m.now.Before(token.expires) && !m.refused[token.kid] {
			live = append(live, token)
		}
	}
	m.tokens = live
	for _, token := range m.tokens {
		for i := range m.verifiers {
			if m.verify(t, &m.verifiers[i], token.kid) {
				continue
			}
			// The successor of a compromised key could not be published ahead: a set that
			// was fetched before may lack it, and an unknown kid makes a verifier fetch again.
			if made, ok := m.unstaged[token.kid]; ok && m.now.Sub(made) < m.nodes[0].Schedule().Staging {
				continue
			}
			t.Fatalf("verifier %d does not know the key %s of a token that lives until %v (now %v)", i, token.kid, token.expires, m.now)
		}
	}
}

func (m *model) Pass(t *rapid.T) {
	m.pass(time.Duration(rapid.SampledFrom([]int{1, 10, 59, 300, 900, 3 * 3600}).Draw(t, "seconds")) * time.Second)
}

func (m *model) Look(t *rapid.T) {
	n := m.node(t)
	if err := n.Reload(t.Context()); err != nil {
		return
	}
	if err := n.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Minutes is time in which every node that can looks all the time.
func (m *model) Minutes(t *rapid.T) {
	for range rapid.IntRange(1, 15).Draw(t, "minutes") {
		m.pass(time.Minute)
		for _, n := range m.nodes {
			if n.cut.Load() {
				continue
			}
			if err := errors.Join(n.Reload(t.Context()), n.Step(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
		m.Sign(t)
	}
}

func (m *model) Cut(t *rapid.T) { n := m.node(t); n.cut.Store(!n.cut.Load()) }

func (m *model) Operate(t *rapid.T) {
	n := m.node(t)
	if n.cut.Load() {
		return
	}
	ctx := t.Context()
	var ids []string
	for id := range m.keys(authority.RingAccess) {
		ids = append(ids, id)
	}
	id := rapid.SampledFrom(ids).Draw(t, "key")
	var err error
	switch rapid.SampledFrom([]string{"stage", "rotate", "activate", "activate", "retire", "compromise"}).Draw(t, "step") {
	case "stage":
		_, err = n.Stage(ctx, authority.RingAccess, "", why)
	case "rotate":
		_, err = n.Rotate(ctx, authority.RingAccess, "", why)
	case "activate":
		_, err = n.Activate(ctx, id, false, why)
	case "retire":
		_, err = n.Retire(ctx, id, false, why)
	case "compromise":
		var next authority.Key
		if next, err = n.Compromise(ctx, id, why); err == nil {
			if next.ID != id {
				m.unstaged[next.ID] = m.now
			}
			for id, k := range m.keys(authority.RingAccess) {
				m.refused[id] = m.refused[id] || k.State == authority.KeyCompromised
			}
		}
	}
	if err != nil && !errors.Is(err, keys.ErrNotYet) && !errors.Is(err, keys.ErrState) {
		t.Fatal(err)
	}
}

// Check is true of every state: one key signs, and keys only go forward.
func (m *model) Check(t *rapid.T) {
	active := 0
	for _, k := range m.keys(authority.RingAccess) {
		if k.State == authority.KeyActive {
			active++
		}
	}
	if active != 1 {
		t.Fatalf("%d active keys", active)
	}
}

// No state that can be reached lets a verifier miss a key that signs: whatever three
// nodes and operators do, clocks that are a minute ahead and behind, nodes that are
// stopped or cut off, and verifiers that keep the set as long as they may.
func TestProperty_NoVerifierMissesAKeyThatSigns(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// As tight as a schedule may be.
		w := newWorld(t, func(c *keys.Config) { c.Schedule.Staging, c.Schedule.Access = 13*time.Minute, 15*time.Minute }, 0, time.Minute, -time.Minute)
		m := &model{world: w, verifiers: make([]follower, 3), refused: map[string]bool{}, unstaged: map[string]time.Time{}}
		rt.Repeat(map[string]func(*rapid.T){
			"Sign": m.Sign, "Verify": m.Verify, "Pass": m.Pass, "Look": m.Look, "Minutes": m.Minutes, "Cut": m.Cut, "Operate": m.Operate, "": m.Check,
		})
	})
}
