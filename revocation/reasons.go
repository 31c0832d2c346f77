package revocation

import "sync/atomic"

// reasons keeps each distinct reason once and gives it a number. One writer, any number of readers.
type reasons struct {
	list  atomic.Pointer[[]string] // only ever extended, in a new slice header
	index map[string]uint16        // the writer's
}

// maxReasons bounds the table should free text ever come as a reason: later ones are then reported as "".
const maxReasons = 4096

// number is for the writer.
func (r *reasons) number(reason string) uint16 {
	if reason == "" {
		return 0
	}
	if n, ok := r.index[reason]; ok {
		return n
	}
	if r.index == nil {
		r.index = make(map[string]uint16)
		r.list.Store(&[]string{""})
	}
	list := *r.list.Load()
	if len(list) > maxReasons {
		return 0
	}
	n := uint16(len(list)) //nolint:gosec // at most maxReasons
	list = append(list, reason)
	r.index[reason] = n
	r.list.Store(&list)
	return n
}

// text is for readers.
func (r *reasons) text(n uint16) string {
	if n == 0 {
		return ""
	}
	return (*r.list.Load())[n]
}
