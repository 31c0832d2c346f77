package seen

import "unsafe"

// An entry and its text are one piece of memory. A token that has not been asked for lately is far away, and
// each pointer on the way to it costs as much as the hash: the text behind the entry is found by the
// processor itself, as it reads on.
type (
	room256[V any] struct {
		entry Entry[V]
		text  [256]byte
	}
	room512[V any] struct {
		entry Entry[V]
		text  [512]byte
	}
	room640[V any] struct {
		entry Entry[V]
		text  [640]byte
	}
	room704[V any] struct {
		entry Entry[V]
		text  [704]byte
	}
	room768[V any] struct {
		entry Entry[V]
		text  [768]byte
	}
	room896[V any] struct {
		entry Entry[V]
		text  [896]byte
	}
	room1152[V any] struct {
		entry Entry[V]
		text  [1152]byte
	}
)

// newEntry makes an entry with copies of token and tail, and answers how much memory it takes.
func newEntry[V any](token, tail string) (e *Entry[V], copied string, size int64) {
	var text []byte
	switch n := len(token) + len(tail); {
	case n <= 256:
		r := new(room256[V])
		e, text = &r.entry, r.text[:n]
	case n <= 512:
		r := new(room512[V])
		e, text = &r.entry, r.text[:n]
	case n <= 640:
		r := new(room640[V])
		e, text = &r.entry, r.text[:n]
	case n <= 704:
		r := new(room704[V])
		e, text = &r.entry, r.text[:n]
	case n <= 768:
		r := new(room768[V])
		e, text = &r.entry, r.text[:n]
	case n <= 896:
		r := new(room896[V])
		e, text = &r.entry, r.text[:n]
	case n <= 1152:
		r := new(room1152[V])
		e, text = &r.entry, r.text[:n]
	default:
		e, text = new(Entry[V]), make([]byte, n)
	}
	copy(text, token)
	copy(text[len(token):], tail)
	// Nobody has the bytes but this string: they do not change any more.
	all := unsafe.String(unsafe.SliceData(text), len(text)) //nolint:gosec // see the line above
	e.token = all[:len(token)]
	// The allocator rounds up by a few percent.
	size = (int64(unsafe.Sizeof(*e))+int64(cap(text)))*17/16 + slotBytes //nolint:gosec // the size of a type
	return e, all[len(token):], size
}
