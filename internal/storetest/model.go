package storetest

import (
	"errors"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// model is what a store must look like after a sequence of calls: maps, and
// rules of one line each.
type model struct {
	w        *world
	sessions []secret.ID
	codes    map[secret.ID]*modelCode
	grants   map[secret.ID]*modelGrant
	tokens   map[secret.ID]secret.ID // token -> grant
	ended    map[secret.ID]bool      // sessions
	head     uint64
	order    []secret.ID // grants
	issued   []secret.ID // tokens
	unused   []secret.ID // codes
}

type modelCode struct {
	code authority.Code
	used bool
}

type modelGrant struct {
	session    secret.ID
	generation uint32
	ended      bool
}

// testModel runs random sequences of calls and compares every answer, and the
// whole state after each, with the model. Above all: no token of an ended grant
// is ever alive.
func testModel(w *world) {
	account := w.account("ada")
	rapid.Check(w.T, func(t *rapid.T) {
		_, head, err := w.store.Head(w.Context())
		w.must(err)
		m := &model{
			w: w, codes: map[secret.ID]*modelCode{}, grants: map[secret.ID]*modelGrant{},
			tokens: map[secret.ID]secret.ID{}, ended: map[secret.ID]bool{}, head: head,
		}
		m.signIn(account.ID)
		t.Repeat(map[string]func(*rapid.T){
			"sign in": func(t *rapid.T) {
				if len(m.sessions) < 4 {
					m.signIn(account.ID)
				}
			},
			"code":           m.newCode,
			"redeem":         m.redeem,
			"issue":          m.issue,
			"rotate":         m.rotate,
			"revoke token":   m.revokeToken,
			"revoke grant":   m.revokeGrant,
			"revoke session": m.revokeSession,
			"":               m.check,
		})
	})
}

func (m *model) signIn(account secret.ID) { m.sessions = append(m.sessions, m.w.session(account).ID) }

// pick chooses one of ids, or an id that nothing has.
func (m *model) pick(t *rapid.T, ids []secret.ID) secret.ID {
	if i := rapid.IntRange(-1, len(ids)-1).Draw(t, "which"); i >= 0 {
		return ids[i]
	}
	return m.w.id()
}

// answer compares an error with the one the model expects.
func answer(t *rapid.T, what string, got, want error) {
	if !errors.Is(got, want) || (want == nil && got != nil) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func (m *model) newCode(t *rapid.T) {
	id := m.pick(t, m.sessions)
	s, err := m.w.store.Session(m.w.Context(), id)
	if errors.Is(err, authority.ErrNotFound) {
		s, err = m.w.newSession(m.w.id()), nil
		m.ended[s.ID] = true
	}
	m.w.must(err)
	c := m.w.newCode(s, "app")
	var want error
	if m.ended[s.ID] {
		want = authority.ErrEnded
	} else {
		m.codes[c.ID] = &modelCode{code: c}
		m.unused = append(m.unused, c.ID)
	}
	answer(t, "code", m.w.store.CreateCode(m.w.Context(), c, nil, nil), want)
}

func (m *model) redeem(t *rapid.T) {
	id := m.pick(t, m.unused)
	c, known := m.codes[id]
	if !known {
		c = &modelCode{code: authority.Code{ID: id, SessionID: m.sessions[0]}}
	}
	r := m.w.redemption(c.code, rapid.Bool().Draw(t, "offline"))
	var want error
	switch {
	case !known:
		want = authority.ErrNotFound
	case c.used:
		want = authority.ErrUsed
	case m.ended[c.code.SessionID]:
		want = authority.ErrEnded
	default:
		c.used = true
		m.grants[r.Grant.ID] = &modelGrant{session: r.Grant.SessionID}
		m.order = append(m.order, r.Grant.ID)
		m.tokens[r.Token.ID] = r.Grant.ID
		m.issued = append(m.issued, r.Token.ID)
	}
	answer(t, "redeem", m.w.store.Redeem(m.w.Context(), r), want)
}

// mayIssue is what a grant answers to a new token.
func (m *model) mayIssue(id secret.ID, generation *uint32) error {
	g, known := m.grants[id]
	switch {
	case !known, g.ended:
		return authority.ErrEnded
	case generation != nil && *generation != g.generation:
		return authority.ErrConflict
	}
	return nil
}

func (m *model) issue(t *rapid.T) {
	id := m.pick(t, m.order)
	i := authority.Issue{Token: m.w.newToken(id), Now: m.w.now}
	if rapid.Bool().Draw(t, "conditional") {
		i.IfGeneration = new(rapid.Uint32Range(0, 2).Draw(t, "generation"))
	}
	if rapid.Bool().Draw(t, "touch") {
		i.Touch = &authority.GrantTouch{IdleUntil: m.w.now.Add(time.Hour)}
	}
	want := m.mayIssue(id, i.IfGeneration)
	if want == nil {
		m.tokens[i.Token.ID] = id
		m.issued = append(m.issued, i.Token.ID)
	}
	answer(t, "issue", m.w.store.Issue(m.w.Context(), i), want)
}

func (m *model) rotate(t *rapid.T) {
	id := m.pick(t, m.order)
	r := authority.Rotation{
		Grant: id, From: rapid.Uint32Range(0, 2).Draw(t, "from"), RefreshKey: "k", Token: m.w.newToken(id),
		Now: m.w.now, IdleUntil: m.w.now.Add(time.Hour),
	}
	want := m.mayIssue(id, &r.From)
	if want == nil {
		m.grants[id].generation++
		m.tokens[r.Token.ID] = id
		m.issued = append(m.issued, r.Token.ID)
	}
	answer(t, "rotate", m.w.store.Rotate(m.w.Context(), r), want)
}

func (m *model) revoke(t *rapid.T, r authority.Revocation, want map[string]bool) {
	entries, err := m.w.store.Revoke(m.w.Context(), m.w.revocation(r))
	answer(t, "revoke", err, nil)
	if len(entries) != len(want) {
		t.Fatalf("revoke: got %v, want %v", targets(entries), want)
	}
	for _, name := range targets(entries) {
		if !want[name] {
			t.Fatalf("revoke: got %s, want %v", name, want)
		}
	}
	for _, e := range entries {
		if m.head++; e.Seq != m.head {
			t.Fatalf("got number %d, want %d", e.Seq, m.head)
		}
	}
}

func (m *model) revokeToken(t *rapid.T) {
	id := m.pick(t, m.issued)
	want := map[string]bool{}
	if _, known := m.tokens[id]; known {
		want[fmt.Sprint("token ", id)] = true
		delete(m.tokens, id)
	}
	m.revoke(t, authority.Revocation{Token: &authority.Token{ID: id}}, want)
}

func (m *model) revokeGrant(t *rapid.T) {
	id := m.pick(t, m.order)
	want := map[string]bool{}
	if g, known := m.grants[id]; known && !g.ended {
		g.ended = true
		want[fmt.Sprint("grant ", id)] = true
	}
	m.revoke(t, authority.Revocation{Grant: id}, want)
}

func (m *model) revokeSession(t *rapid.T) {
	id := m.pick(t, m.sessions)
	want := map[string]bool{}
	for _, s := range m.sessions {
		if s == id && !m.ended[id] {
			want[fmt.Sprint("session ", id)] = true
		}
	}
	m.ended[id] = true
	for gid, g := range m.grants {
		if g.session == id && !g.ended {
			g.ended = true
			want[fmt.Sprint("grant ", gid)] = true
		}
	}
	m.revoke(t, authority.Revocation{Session: id}, want)
}

// check compares all grants and tokens with the model.
func (m *model) check(t *rapid.T) {
	states, err := m.w.store.Tokens(m.w.Context(), m.issued)
	m.w.must(err)
	for _, id := range m.issued {
		grant, alive := m.tokens[id]
		state, found := states[id]
		if found != alive {
			t.Fatalf("token: got registered %v, want %v", found, alive)
		}
		if found && (state.GrantID != grant || state.GrantEnded != m.grants[grant].ended) {
			t.Fatalf("token: got grant ended %v, want %v", state.GrantEnded, m.grants[grant].ended)
		}
	}
	for id, want := range m.grants {
		g, err := m.w.store.Grant(m.w.Context(), id)
		m.w.must(err)
		if g.Generation != want.generation || g.EndedAt.IsZero() == want.ended {
			t.Fatalf("grant: got generation %d ended %v, want %d %v", g.Generation, !g.EndedAt.IsZero(), want.generation, want.ended)
		}
	}
	_, head, err := m.w.store.Head(m.w.Context())
	m.w.must(err)
	if head != m.head {
		t.Fatalf("got head %d, want %d", head, m.head)
	}
}
