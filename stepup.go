package jeton

import (
	"slices"
	"time"
)

// AuthAge demands that the person signed in (auth_time) no longer than d ago. A refresh does not help: the sign-in
// it goes back to stays as old as it was. Who is refused is told to sign in again, in the way of RFC 9470 section 3.
// A token without a sign-in, such as a program's own, is refused. Parts of a second are rounded up. With 0 or less
// nobody passes: the route is locked.
func AuthAge(d time.Duration) Demand {
	if whole := d.Truncate(time.Second); whole != d && d > 0 {
		d = whole + time.Second
	}
	return Demand{kind: demandAuthAge, span: d}
}

// ACR demands that the person signed in in one of these ways (acr), which are compared whole. The authority's
// metadata says which it offers (acr_values_supported). Several demands hold together, so that what is in all of
// them is asked for. Without a value nobody passes.
func ACR(values ...string) Demand { return Demand{kind: demandACR, names: values} }

// stepUp is the refusal of a token whose sign-in is not good enough. It says everything that the route wants of a
// sign-in: one that mends only half of it would be refused again.
func (r *rule) stepUp(reason string) *Refusal {
	refusal := *refuse(reason)
	first := true
	for _, demands := range [][]Demand{r.demands, r.more} {
		for i := range demands {
			switch d := &demands[i]; d.kind {
			case demandAuthAge:
				if refusal.MaxAge == 0 || d.span < refusal.MaxAge {
					refusal.MaxAge = d.span
				}
			case demandACR:
				if first {
					refusal.ACRValues, first = slices.Clone(d.names), false
					continue
				}
				refusal.ACRValues = slices.DeleteFunc(refusal.ACRValues, func(v string) bool { return !slices.Contains(d.names, v) })
			default:
			}
		}
	}
	if !first && len(refusal.ACRValues) == 0 {
		return refuse(ReasonLocked) // there is no such sign-in
	}
	return &refusal
}
