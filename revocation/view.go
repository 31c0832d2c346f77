package revocation

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// ErrGap is returned when entries do not follow what the view holds: one or more in between are missing.
// The view has not moved past the gap. Ask again from [View.Seq].
var ErrGap = errors.New("revocation: entries are missing")

// ErrIncarnation is returned when a change belongs to another life of the log than the view holds. Only a
// snapshot can follow. errors.Is(err, ErrGap) also holds.
var ErrIncarnation error = incarnationError{}

type incarnationError struct{}

func (incarnationError) Error() string        { return "revocation: another life of the log" }
func (incarnationError) Is(target error) bool { return target == ErrGap }

// DefaultMargin is how long an entry is kept beyond its Until. It must exceed the leeway a verifier grants
// on exp, plus the time its clock may be behind the authority's.
const DefaultMargin = time.Minute

// ViewConfig sets up a [View]. The zero value works.
type ViewConfig struct {
	// Now is the clock; default time.Now. Freshness needs its monotonic reading, or a clock that never steps.
	Now func() time.Time
	// Margin is how long an entry is kept beyond its Until; default [DefaultMargin], negative is none.
	Margin time.Duration
	// OnEntry is called for each entry that is not a token, grant or session, once and in the order of the
	// log, before the epoch rises. It runs inside Apply...: it may read the view, and must not change it.
	OnEntry func(Entry)
	// OnSnapshot is called with those entries of a whole snapshot at once, in the order they came: they
	// replace what earlier calls told (a policy that is not among them is gone). Without it OnEntry is
	// called for each. The same rules hold.
	OnSnapshot func([]Entry)
}

// View is the set of ids that are dead, as far as the feed has told, with an epoch that tells readers when
// to look again. It is exact: no false hits, no misses. All methods may be called at the same time.
//
// A reader that wants to skip the lookup while nothing has changed must load the epoch BEFORE it looks:
//
//	epoch := view.Epoch()
//	if view.Revoked(jti, gid, sid).Hit() { refuse }
//	entry.epoch = epoch // while view.Epoch() == entry.epoch this answer stands
//
// The view makes a change visible first and raises the epoch after, so a change the lookup missed always
// shows as a difference. Loading the epoch after the lookup would hide it.
type View struct {
	now        func() time.Time
	margin     int64 // seconds
	onEntry    func(Entry)
	onSnapshot func([]Entry)

	epoch   atomic.Uint64
	cursor  atomic.Pointer[Cursor] // zero until the first whole snapshot
	born    time.Time
	touched atomic.Int64 // nanoseconds from born to the last proof of freshness

	tokens, grants, sessions set
	keys                     atomic.Pointer[map[string]mark] // replaced, never changed
	reasons                  reasons

	mu          sync.Mutex // serialises changes; guards the fields below
	subscribers []func(Entry)
	followed    bool  // a Follower feeds the view: heartbeats will come, wait for the authority's clock
	authority   int64 // the authority's clock at the last heartbeat, Unix seconds; 0 is not known
	swept       int   // next shard to sweep
	sweptAt     time.Time
}

// NewView returns an empty view, which is not ready: it has no snapshot yet.
func NewView(cfg ViewConfig) *View {
	v := &View{now: cfg.Now, onEntry: cfg.OnEntry, onSnapshot: cfg.OnSnapshot}
	if v.now == nil {
		v.now = time.Now
	}
	switch {
	case cfg.Margin == 0:
		v.margin = int64(DefaultMargin / time.Second)
	case cfg.Margin > 0:
		v.margin = int64((cfg.Margin + time.Second - 1) / time.Second)
	}
	v.born = v.now()
	v.sweptAt = v.born
	v.cursor.Store(&Cursor{})
	v.keys.Store(&map[string]mark{})
	return v
}

// Verdict says what a lookup hit. The zero Verdict is no hit.
type Verdict struct {
	Kind   Kind   // Token, Grant or Session
	Reason string // as the log has it, may be empty
}

// Hit reports whether anything was hit.
func (v Verdict) Hit() bool { return v.Kind != Unknown }

// Revoked looks the ids up: the token, then its session, then its grant. A session that ends takes its
// grants along, so the session comes before the grant: it is the better answer to why. An id that is zero
// is skipped. It does not allocate.
func (v *View) Revoked(jti, gid, sid ID) Verdict {
	if m, ok := v.tokens.get(jti); ok {
		return Verdict{Token, v.reasons.text(m.reason)}
	}
	if m, ok := v.sessions.get(sid); ok {
		return Verdict{Session, v.reasons.text(m.reason)}
	}
	if m, ok := v.grants.get(gid); ok {
		return Verdict{Grant, v.reasons.text(m.reason)}
	}
	return Verdict{}
}

// KeyRevoked reports whether the key is compromised: nothing it signed counts.
func (v *View) KeyRevoked(kid string) bool {
	_, ok := (*v.keys.Load())[kid]
	return ok
}

// Epoch returns a number that rises after each change that could refuse something.
func (v *View) Epoch() uint64 { return v.epoch.Load() }

// Seq returns where in the log the view is: it holds every live entry up to seq. Before the first whole
// snapshot the incarnation is empty.
func (v *View) Seq() (incarnation string, seq uint64) {
	c := v.cursor.Load()
	return c.Incarnation, c.Seq
}

// Cursor is Seq as a value.
func (v *View) Cursor() Cursor { return *v.cursor.Load() }

// Len returns how many ids and keys the view holds.
func (v *View) Len() int {
	return int(v.tokens.size.Load()+v.grants.size.Load()+v.sessions.size.Load()) + len(*v.keys.Load())
}

// MemoryBytes estimates what the view occupies.
func (v *View) MemoryBytes() int {
	fixed := 3*shardCount*64 + 512
	return fixed + v.tokens.bytes() + v.grants.bytes() + v.sessions.bytes() + 128*len(*v.keys.Load())
}

// Subscribe adds a hook like [ViewConfig.OnEntry]. It is not told of what came before.
func (v *View) Subscribe(hook func(Entry)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.subscribers = append(v.subscribers, hook)
}

// ApplyDelta applies entries that follow what the view holds. Entries that it holds already are ignored.
// At a missing number it stops with [ErrGap]; when the entries belong to another life of the log, or there
// has been no snapshot, with [ErrIncarnation]. The position never moves past a missing number. Ids in
// entries beyond it are refused all the same: a revocation that is known is never set aside.
func (v *View) ApplyDelta(incarnation string, entries []Entry) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	changed := v.absorb(entries)
	held := *v.cursor.Load()
	var err error
	if held.Incarnation == "" || held.Incarnation != incarnation {
		err = ErrIncarnation
	} else {
		for i := range entries {
			e := &entries[i]
			if e.Seq <= held.Seq {
				continue
			}
			if e.Seq != held.Seq+1 {
				err = ErrGap
				break
			}
			held.Seq++
			if !inSet(e.Kind) {
				v.tell(*e)
				changed = true
			}
		}
	}
	if changed {
		v.epoch.Add(1)
	}
	if held.Seq != v.cursor.Load().Seq {
		v.cursor.Store(&held)
	}
	v.sweepSome()
	return err
}

// ApplySnapshot applies all live entries of the log, complete up to seq. What the view held stays until it
// expires, whether or not the snapshot has it: a revocation is for ever, so the set only grows and there is
// no moment in which a revoked id looks alive. A snapshot older than what is held (same incarnation) does
// not move the view back. The error wraps [ErrMalformed] when incarnation is not a valid name.
func (v *View) ApplySnapshot(incarnation string, seq uint64, entries []Entry) error {
	if !validIncarnation(incarnation) {
		return ErrMalformed
	}
	v.addPart(entries)
	v.completeSnapshot(Cursor{incarnation, seq}, besideSet(nil, entries))
	return nil
}

// addPart takes a part of a snapshot that may never be completed.
func (v *View) addPart(entries []Entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.absorb(entries) {
		v.epoch.Add(1)
	}
}

// completeSnapshot moves the view to at, all parts having been added; beside is what the set does not hold.
func (v *View) completeSnapshot(at Cursor, beside []Entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	held := *v.cursor.Load()
	if held.Incarnation == at.Incarnation && at.Seq < held.Seq {
		return
	}
	if v.onSnapshot != nil {
		v.onSnapshot(beside)
	} else if v.onEntry != nil {
		for _, e := range beside {
			v.onEntry(e)
		}
	}
	for _, e := range beside {
		v.tellSubscribers(e)
	}
	v.cursor.Store(&at) // first, so that who sees the epoch sees a new incarnation too
	v.epoch.Add(1)
}

// besideSet appends the entries that are not about tokens, grants or sessions.
func besideSet(dst, entries []Entry) []Entry {
	for i := range entries {
		if !inSet(entries[i].Kind) {
			dst = append(dst, entries[i])
		}
	}
	return dst
}

func inSet(k Kind) bool { return k == Token || k == Grant || k == Session }

func (v *View) tell(e Entry) {
	if v.onEntry != nil {
		v.onEntry(e)
	}
	v.tellSubscribers(e)
}

func (v *View) tellSubscribers(e Entry) {
	for _, hook := range v.subscribers {
		hook(e)
	}
}

// absorb puts the revocations among the entries into the set and reports whether any was new. What looks
// expired goes in too: only the sweep decides about that, with both clocks at hand.
func (v *View) absorb(entries []Entry) (added bool) {
	for i := range entries {
		e := &entries[i]
		m := mark{until: untilMark(e.Until)}
		var s *set
		switch e.Kind {
		case Token:
			s = &v.tokens
		case Grant:
			s = &v.grants
		case Session:
			s = &v.sessions
		case Key:
			added = v.addKey(e.Name, m) || added
			continue
		default:
			continue
		}
		if e.ID.IsZero() {
			continue
		}
		m.reason = v.reasons.number(e.Reason)
		added = s.add(e.ID, m) || added
	}
	return added
}

func (v *View) addKey(kid string, m mark) bool {
	keys := *v.keys.Load()
	old, ok := keys[kid]
	if kid == "" || ok && !m.longer(old) {
		return false
	}
	keys = maps.Clone(keys)
	keys[kid] = m
	v.keys.Store(&keys)
	return !ok
}
