package tokens

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/jwk"
)

// A refresh token is
//
//	jr_ + base64url( gid 16 | generation 4 | MAC 32 | CRC-32 4 )
//
// 78 characters in all. The MAC is HMAC-SHA-256 under a key of the refresh
// ring over "refresh" | gid | generation | salt; the salt is random per grant
// and rests in its row. Forging one needs both the row and the key, and the
// database holds nothing that can be used as a token. The checksum lets secret
// scanners tell a leaked token from a random string without asking us.
const (
	refreshPrefix = "jr_"
	refreshSize   = 16 + 4 + 32 + 4
)

var errNotRefreshToken = errors.New("not a refresh token")

// refreshToken is a parsed, not yet verified, refresh token.
type refreshToken struct {
	grant      secret.ID
	generation uint32
	mac        [32]byte
}

// looksLikeRefresh tells a refresh token from an access token by its form.
func looksLikeRefresh(token string) bool { return strings.HasPrefix(token, refreshPrefix) }

func parseRefresh(token string) (refreshToken, error) {
	var r refreshToken
	text, ok := strings.CutPrefix(token, refreshPrefix)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(refreshSize) || strings.ContainsAny(text, "\r\n") {
		return r, errNotRefreshToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != refreshSize {
		return r, errNotRefreshToken
	}
	body, sum := b[:refreshSize-4], binary.BigEndian.Uint32(b[refreshSize-4:])
	if crc32.ChecksumIEEE(body) != sum {
		return r, errNotRefreshToken
	}
	r.grant = secret.ID(body[:16])
	r.generation = binary.BigEndian.Uint32(body[16:20])
	r.mac = [32]byte(body[20:])
	return r, nil
}

func (r refreshToken) encode() secret.Value {
	b := make([]byte, 0, refreshSize)
	b = append(b, r.grant[:]...)
	b = binary.BigEndian.AppendUint32(b, r.generation)
	b = append(b, r.mac[:]...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return secret.New(refreshPrefix + base64.RawURLEncoding.EncodeToString(b))
}

// refreshMAC computes the MAC of one generation of a grant.
func refreshMAC(key *jwk.Key, grant secret.ID, generation uint32, salt [16]byte) ([32]byte, error) {
	msg := make([]byte, 0, 7+16+4+16)
	msg = append(msg, "refresh"...)
	msg = append(msg, grant[:]...)
	msg = binary.BigEndian.AppendUint32(msg, generation)
	msg = append(msg, salt[:]...)
	sum, err := key.Sign(msg)
	if err != nil {
		return [32]byte{}, err
	}
	return [32]byte(sum), nil
}

// currentRefresh recomputes the refresh token of the grant's current
// generation.
func (s *Service) currentRefresh(g authority.Grant) (secret.Value, error) {
	key, ok := s.cfg.Keys.Find(authority.RingRefresh, g.RefreshKey)
	if !ok {
		return secret.Value{}, errors.New("tokens: the key of the grant's refresh token is gone")
	}
	mac, err := refreshMAC(key, g.ID, g.Generation, g.Salt)
	if err != nil {
		return secret.Value{}, err
	}
	return refreshToken{g.ID, g.Generation, mac}.encode(), nil
}

// refreshIsOurs verifies the MAC. The row names the key of the current
// generation; a predecessor may have been made with an older key of the ring.
func (s *Service) refreshIsOurs(r refreshToken, g authority.Grant) bool {
	ours := false
	for _, key := range s.cfg.Keys.Usable(authority.RingRefresh) {
		mac, err := refreshMAC(key, r.grant, r.generation, g.Salt)
		if err == nil && secret.Equal(mac[:], r.mac[:]) {
			ours = true
		}
	}
	return ours
}

// activeRefreshKey is the key that makes new refresh tokens.
func (s *Service) activeRefreshKey() (*jwk.Key, error) {
	return s.cfg.Keys.Signer(authority.RingRefresh, jwk.HS256)
}
