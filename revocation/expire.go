package revocation

import (
	"maps"
	"math"
	"time"
)

// sweepPeriod is the time in which the view looks once at everything it holds, in small slices.
const sweepPeriod = 30 * time.Second

// sweepMost bounds one slice, in shards.
const sweepMost = 16

// Expire forgets every entry whose Until lies more than the margin before now, and reports how many. The
// view does the same by itself while changes and heartbeats arrive; calling it is never needed.
//
// The authority's clock, as told by heartbeats, holds expiry back: an entry is forgotten when both clocks
// agree that its time is over. A local clock that runs ahead for a while, and is then set right, has
// therefore forgotten nothing that could still be presented.
func (v *View) Expire(now time.Time) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	horizon := v.horizon(now)
	removed := v.expireKeys(horizon)
	for _, s := range v.sets() {
		for i := range shardCount {
			removed += s.sweep(i, horizon)
		}
	}
	return removed
}

// sweepSome looks at as many shards as have become due.
func (v *View) sweepSome() {
	now := v.now()
	sets := v.sets()
	total := len(sets) * shardCount
	due := int(now.Sub(v.sweptAt) / (sweepPeriod / time.Duration(total)))
	if due <= 0 {
		return
	}
	v.sweptAt = now
	horizon := v.horizon(now)
	for range min(due, sweepMost) {
		if v.swept == 0 {
			v.expireKeys(horizon)
		}
		if s := sets[v.swept/shardCount]; s.size.Load() > 0 {
			s.sweep(v.swept%shardCount, horizon)
		}
		v.swept = (v.swept + 1) % total
	}
}

func (v *View) sets() [3]*set { return [3]*set{&v.tokens, &v.grants, &v.sessions} }

func (v *View) expireKeys(horizon uint32) (removed int) {
	keys := *v.keys.Load()
	expired := func(_ string, m mark) bool { return m.expired(horizon) }
	for kid, m := range keys {
		if expired(kid, m) {
			removed++
		}
	}
	if removed > 0 {
		keys = maps.Clone(keys)
		maps.DeleteFunc(keys, expired)
		v.keys.Store(&keys)
	}
	return removed
}

// horizon is the time before which an Until is over, by the earlier of the two clocks.
func (v *View) horizon(now time.Time) uint32 {
	sec := now.Unix()
	if v.followed || v.authority != 0 {
		sec = min(sec, v.authority)
	}
	return uint32(min(max(sec-v.margin, 0), math.MaxUint32))
}

// untilMark narrows an Until to 32 bits. What does not fit is kept for ever.
func untilMark(until int64) uint32 {
	if until <= 0 || until > math.MaxUint32 {
		return 0
	}
	return uint32(until)
}
