package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

const (
	nonceTime = 8  // bytes: seconds since 1970
	nonceMAC  = 16 // bytes
	// nonceAhead is how far ahead the clock of another node may be that made a nonce.
	nonceAhead = 10 * time.Second
)

// NonceLifetime is how long a nonce is good for, unless [Nonces] says otherwise.
const NonceLifetime = 5 * time.Minute

// Nonces makes and checks the nonces of RFC 9449 section 8: the time under a MAC.
// Nothing is stored; every process with the same keys and label takes them.
type Nonces struct {
	// Keys are at least 32 secret bytes each: the first makes nonces, all check them.
	Keys func() [][]byte
	// Label keeps the nonces of different servers with the same keys apart: those of
	// an authority mean nothing at an API.
	Label string
	// Lifetime is how long they are good for. Zero means NonceLifetime.
	Lifetime time.Duration
	Now      func() time.Time
}

// New is the nonce of this second, "" without keys.
func (n *Nonces) New() string {
	keys := n.Keys()
	if len(keys) == 0 {
		return ""
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(n.Now().Unix())) // #nosec G115 -- after 1970
	return base64.RawURLEncoding.EncodeToString(append(b, n.mac(keys[0], b)...))
}

// Good reports whether we made the nonce, and not too long ago.
func (n *Nonces) Good(nonce string) bool {
	age, ok := n.age(nonce)
	return ok && age >= -nonceAhead && age < n.lifetime()
}

// Aging reports whether a nonce has half its life behind it, or is none of ours:
// time to give out the next.
func (n *Nonces) Aging(nonce string) bool {
	age, ok := n.age(nonce)
	return !ok || age >= n.lifetime()/2
}

func (n *Nonces) lifetime() time.Duration {
	if n.Lifetime == 0 {
		return NonceLifetime
	}
	return n.Lifetime
}

func (n *Nonces) age(nonce string) (time.Duration, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != nonceTime+nonceMAC {
		return 0, false
	}
	for _, key := range n.Keys() {
		if hmac.Equal(b[nonceTime:], n.mac(key, b[:nonceTime])) {
			made := time.Unix(int64(binary.BigEndian.Uint64(b)), 0) // #nosec G115 -- under our MAC
			return n.Now().Sub(made), true
		}
	}
	return 0, false
}

func (n *Nonces) mac(key, when []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("dpop nonce " + n.Label))
	h.Write([]byte{0})
	h.Write(when)
	return h.Sum(nil)[:nonceMAC]
}
