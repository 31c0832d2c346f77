package revocation

import "time"

// Heartbeat takes the authority's word that its log is at seq, received at the local time at. authority is
// its clock (the local one if zero); it only ever delays expiry. When the view is exactly there, the word is
// proof of freshness. When the view is behind, the error is [ErrGap] (or [ErrIncarnation]). A word from
// further back, from a node that lags, proves nothing and is ignored.
func (v *View) Heartbeat(incarnation string, seq uint64, authority, at time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	held := *v.cursor.Load()
	switch {
	case held.Incarnation == "" || held.Incarnation != incarnation:
		return ErrIncarnation
	case seq > held.Seq:
		return ErrGap
	case seq < held.Seq:
		return nil
	}
	if authority.IsZero() {
		authority = at
	}
	v.authority = authority.Unix()
	v.Touch(at)
	v.sweepSome()
	return nil
}

// Touch records that the view was known to be complete at t, a local time (with its monotonic reading): the
// moment a proof arrived, never the sender's clock. An earlier t than before changes nothing.
func (v *View) Touch(t time.Time) {
	d := int64(t.Sub(v.born))
	for {
		old := v.touched.Load()
		if d <= old || v.touched.CompareAndSwap(old, d) {
			return
		}
	}
}

// Ready reports whether the view has had a whole snapshot.
func (v *View) Ready() bool { return v.cursor.Load().Incarnation != "" }

// Lag returns the time since the last proof of freshness, or since the view was made.
func (v *View) Lag() time.Duration { return v.lagAt(v.now()) }

// Stale reports whether the view must not be trusted: it is not ready, or its last proof of freshness is
// older than max.
func (v *View) Stale(max time.Duration) bool { return v.StaleAt(v.now(), max) }

// StaleAt is Stale for callers that have the time at hand. now must come from the clock the view uses.
func (v *View) StaleAt(now time.Time, max time.Duration) bool {
	return !v.Ready() || v.lagAt(now) > max
}

func (v *View) lagAt(now time.Time) time.Duration {
	return now.Sub(v.born) - time.Duration(v.touched.Load())
}
