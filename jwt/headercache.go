package jwt

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

const maxHeaders = 64

// headerCache remembers headers by their encoded form. An issuer has about as
// many as it has keys, so that nearly every token is spared the parsing of its
// header. It holds at most 64 and starts over when that is not enough.
type headerCache struct {
	known atomic.Pointer[map[string]Header]
	mu    sync.Mutex // held while the map is replaced
}

func (hc *headerCache) find(encoded string) (Header, bool) {
	known := hc.known.Load()
	if known == nil {
		return Header{}, false
	}
	h, ok := (*known)[encoded]
	return h, ok
}

func (hc *headerCache) add(encoded string, h Header) {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	next := make(map[string]Header, 1)
	if known := hc.known.Load(); known != nil && len(*known) < maxHeaders {
		maps.Copy(next, *known)
	}
	// The key must not hold on to the whole token.
	next[strings.Clone(encoded)] = h
	hc.known.Store(&next)
}
