package network

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
)

// Key makes the digests that stand for networks in tokens. The authority and its
// guards have it; who holds a token cannot find out from it where it was issued.
type Key [32]byte

// Binding is what a token says of the networks it is for. Its claim "net" is base64url, without padding, of
//
//	1 byte   1 when every guard has to enforce it, else 0
//	3 bytes  name of the key
//	8 bytes  digest of the IPv4 network, zero when none is known
//	8 bytes  digest of the IPv6 network, zero when none is known
//
// A digest is HMAC-SHA-256(key, gid | word), cut to 8 bytes, where word is Code
// in 8 bytes. The grant's id keeps
// tokens of different grants from telling that they come from one network.
type Binding struct {
	Enforce bool
	key     [3]byte
	v4, v6  [8]byte
}

const claimBytes = 1 + 3 + 8 + 8

// Bind makes the claim for a token of a grant. Of several networks of an address
// family the first counts; "" when there is none at all.
func (k Key) Bind(enforce bool, grant string, networks ...netip.Prefix) string {
	b := Binding{Enforce: enforce, key: k.name()}
	for _, p := range networks {
		if !p.IsValid() {
			continue
		}
		if at := b.digest(p.Addr()); *at == [8]byte{} {
			*at = k.digest(grant, p.Addr())
		}
	}
	if b.v4 == [8]byte{} && b.v6 == [8]byte{} {
		return ""
	}
	return b.encode()
}

func (b *Binding) encode() string {
	raw := make([]byte, 0, claimBytes)
	mode := byte(0)
	if b.Enforce {
		mode = 1
	}
	raw = append(append(append(append(raw, mode), b.key[:]...), b.v4[:]...), b.v6[:]...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Parse reads a claim.
func Parse(claim string) (Binding, bool) {
	if len(claim) != base64.RawURLEncoding.EncodedLen(claimBytes) {
		return Binding{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(claim)
	if err != nil || len(raw) != claimBytes || raw[0] > 1 {
		return Binding{}, false
	}
	return Binding{raw[0] == 1, [3]byte(raw[1:4]), [8]byte(raw[4:12]), [8]byte(raw[12:])}, true
}

// MadeWith reports whether the binding was made with this key.
func (b *Binding) MadeWith(k Key) bool { return b.key == k.name() }

// Verdict is what a binding says of an address.
type Verdict uint8

const (
	Unknown Verdict = iota // nothing: no network of this address family is bound, or there is no address
	Same
	Other
)

// Compare holds an address against the networks a token of the grant is bound to.
func (k Key) Compare(b *Binding, grant string, addr netip.Addr) Verdict {
	at := b.digest(addr)
	if at == nil || *at == [8]byte{} {
		return Unknown
	}
	got := k.digest(grant, addr)
	if subtle.ConstantTimeCompare(got[:], at[:]) == 1 {
		return Same
	}
	return Other
}

// digest is where the digest for the address's family stands, nil for no address.
func (b *Binding) digest(addr netip.Addr) *[8]byte {
	switch addr = addr.Unmap(); {
	case addr.Is4():
		return &b.v4
	case addr.Is6():
		return &b.v6
	}
	return nil
}

func (k Key) name() [3]byte {
	sum := sha256.Sum256(append([]byte("jeton network key"), k[:]...))
	return [3]byte(sum[:3])
}

func (k Key) digest(grant string, addr netip.Addr) [8]byte {
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(grant))
	mac.Write(binary.BigEndian.AppendUint64(nil, Code(addr)))
	return [8]byte(mac.Sum(nil)[:8])
}

// Format never prints the key.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[redacted]") }

// LogValue never logs the key.
func (Key) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText never writes the key.
func (Key) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
