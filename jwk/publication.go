package jwk

import (
	"crypto/hpke"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// ErrNotMember says that a publication holds secrets, and none for this member.
var ErrNotMember = errors.New("jwk: not a member of the ring")

// Publication is what the authority writes about one ring to where servers wait
// for changes: a node of ZooKeeper, a key of etcd. Shared secrets in it are
// encrypted to each member by itself (HPKE, RFC 9180, base mode: DHKEM(X25519,
// HKDF-SHA256), HKDF-SHA256, AES-256-GCM), bound to issuer, ring and version.
//
// Nobody signs a publication. Whoever may write to its node can name keys: the
// service's access control is what protects it.
type Publication struct {
	Issuer  string
	Ring    string
	Version uint64    // rises with each change of the ring
	Time    time.Time // when it was made, to the second
	Primary string    // id of the key that signs
	Keys    []*Key    // the one that signs, those that will and those that did
}

const (
	publicationFormat = 1
	// maxPublicationBytes is below what a node of ZooKeeper holds by default (1 MB).
	maxPublicationBytes = 512 << 10
)

type publicationWire struct {
	Format  int               `json:"format"`
	Issuer  string            `json:"iss"`
	Ring    string            `json:"ring"`
	Version uint64            `json:"version"`
	Time    int64             `json:"iat"`
	Primary string            `json:"primary"`
	KeyIDs  []string          `json:"kids"`
	Keys    []json.RawMessage `json:"keys,omitempty"`
	Sealed  map[string]string `json:"sealed,omitempty"` // by member: the private JWK set
}

// Encode writes the publication. A ring with a shared secret needs at least one
// member; a ring of public keys ignores them. No private part is ever written
// in clear.
func (p Publication) Encode(members ...Member) ([]byte, error) {
	w := publicationWire{Format: publicationFormat, Issuer: p.Issuer, Ring: p.Ring, Version: p.Version, Time: p.Time.Unix(), Primary: p.Primary}
	secrets, err := p.split(&w)
	if err != nil {
		return nil, err
	}
	if len(secrets) > 0 {
		if err := p.seal(&w, secrets, members); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("jwk: writing a publication: %w", err)
	}
	if len(b) > maxPublicationBytes {
		return nil, fmt.Errorf("%w: a publication of %d bytes (at most %d)", ErrMalformed, len(b), maxPublicationBytes)
	}
	return b, nil
}

// split puts public keys into w and returns the secret ones. A ring has one kind.
func (p Publication) split(w *publicationWire) (secrets []json.RawMessage, err error) {
	for _, k := range p.Keys {
		w.KeyIDs = append(w.KeyIDs, k.ID())
		var b []byte
		if k.Algorithm().Symmetric() {
			if b, err = k.MarshalPrivate(); err == nil {
				secrets = append(secrets, b)
			}
		} else if b, err = k.MarshalJSON(); err == nil {
			w.Keys = append(w.Keys, b)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(secrets) > 0 && len(w.Keys) > 0 {
		return nil, fmt.Errorf("%w: ring %s mixes public keys and shared secrets", ErrMalformed, p.Ring)
	}
	return secrets, nil
}

func (p Publication) seal(w *publicationWire, secrets []json.RawMessage, members []Member) error {
	if len(members) == 0 {
		return fmt.Errorf("%w: ring %s has no members to encrypt its secrets to", ErrPrivateKey, p.Ring)
	}
	plain, err := json.Marshal(secrets)
	if err != nil {
		return fmt.Errorf("jwk: writing a publication: %w", err)
	}
	w.Sealed = make(map[string]string, len(members))
	for _, m := range members {
		sealed, err := hpke.Seal(m.key, hpke.HKDFSHA256(), hpke.AES256GCM(), w.binding(), plain)
		if err != nil {
			return fmt.Errorf("jwk: encrypting to member %s: %w", m.id, err)
		}
		w.Sealed[m.id] = b64(sealed)
	}
	return nil
}

// binding is what a sealed part belongs to. It cannot be put under another
// ring, version or primary key.
func (w *publicationWire) binding() []byte {
	b := []byte("jeton ring publication 1")
	for _, part := range []string{w.Issuer, w.Ring, strconv.FormatUint(w.Version, 10), w.Primary} {
		b = strconv.AppendInt(append(b, 0), int64(len(part)), 10)
		b = append(append(b, ':'), part...)
	}
	return b
}

// PublicationHead is what everybody can read of a publication.
type PublicationHead struct {
	Issuer  string
	Ring    string
	Version uint64
	Time    time.Time
	Primary string
	KeyIDs  []string
	Members []string // ids of those who can read the secrets, sorted; nil for public keys
}

// ParsePublicationHead reads a publication as far as it is not encrypted, and
// looks at no key.
func ParsePublicationHead(b []byte) (PublicationHead, error) {
	w, err := readPublication(b)
	if err != nil {
		return PublicationHead{}, err
	}
	return PublicationHead{
		Issuer: w.Issuer, Ring: w.Ring, Version: w.Version, Time: time.Unix(w.Time, 0), Primary: w.Primary, KeyIDs: w.KeyIDs,
		Members: slices.Sorted(maps.Keys(w.Sealed)),
	}, nil
}

func readPublication(b []byte) (w publicationWire, err error) {
	if _, err := readMembers(b, maxPublicationBytes); err != nil {
		return w, err
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return w, fmt.Errorf("%w: not a publication", ErrMalformed)
	}
	if w.Format != publicationFormat {
		return w, fmt.Errorf("%w: publication of format %d", ErrUnsupported, w.Format)
	}
	return w, nil
}

// ParsePublication reads what [Publication.Encode] wrote. me may be nil for a
// ring of public keys; for a ring of shared secrets it must be a member's, or
// the error is [ErrNotMember].
func ParsePublication(b []byte, me *MemberKey) (Publication, error) {
	w, err := readPublication(b)
	if err != nil {
		return Publication{}, err
	}
	p := Publication{Issuer: w.Issuer, Ring: w.Ring, Version: w.Version, Time: time.Unix(w.Time, 0), Primary: w.Primary}
	read := Parse
	if len(w.Sealed) > 0 {
		if len(w.Keys) > 0 {
			return Publication{}, fmt.Errorf("%w: publication mixes public keys and shared secrets", ErrMalformed)
		}
		if w.Keys, err = w.open(me); err != nil {
			return Publication{}, err
		}
		read = parseShared
	}
	if len(w.Keys) == 0 || len(w.Keys) > maxSetKeys {
		return Publication{}, fmt.Errorf("%w: publication with %d keys", ErrMalformed, len(w.Keys))
	}
	for _, raw := range w.Keys {
		k, err := read(raw)
		if err != nil {
			return Publication{}, err
		}
		p.Keys = append(p.Keys, k)
		w.KeyIDs = slices.DeleteFunc(w.KeyIDs, func(id string) bool { return id == k.ID() })
	}
	if len(w.KeyIDs) > 0 {
		return Publication{}, fmt.Errorf("%w: publication names keys that it does not hold", ErrMalformed)
	}
	return p, nil
}

func (w *publicationWire) open(me *MemberKey) ([]json.RawMessage, error) {
	if me == nil {
		return nil, ErrNotMember
	}
	text, ok := w.Sealed[me.Member().ID()]
	if !ok {
		return nil, ErrNotMember
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: sealed part of a publication", ErrMalformed)
	}
	plain, err := hpke.Open((*me.p).key, hpke.HKDFSHA256(), hpke.AES256GCM(), w.binding(), sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: sealed part of a publication does not open", ErrMalformed)
	}
	var keys []json.RawMessage
	if err := json.Unmarshal(plain, &keys); err != nil {
		return nil, fmt.Errorf("%w: sealed part of a publication", ErrMalformed)
	}
	return keys, nil
}

// parseShared reads a shared secret, and nothing that was smuggled in as one.
func parseShared(b []byte) (*Key, error) {
	k, err := ParsePrivate(b)
	if err == nil && !k.Algorithm().Symmetric() {
		return nil, fmt.Errorf("%w: not a shared secret", ErrMalformed)
	}
	return k, err
}
