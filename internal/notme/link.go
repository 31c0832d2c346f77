package notme

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// Lifetime is how long a link works. It outlives a week's holiday; the sessions
// it ends rarely live longer.
const Lifetime = 8 * 24 * time.Hour

// Target is what a link ends. A zero id is not ended.
type Target struct {
	Account secret.ID // whose it is
	Session secret.ID
	Grant   secret.ID
	Event   secret.ID // what the mail told about; carries its time
}

// Keys gives the keys that sign links. A key must verify, unless it is
// compromised, for Lifetime after another has taken its place.
type Keys interface {
	LinkKey() (id string, key []byte)
	LinkKeyByID(id string) (key []byte, ok bool)
}

// A link's value is kid "." base64url(body) "." base64url(MAC), about 190 bytes:
//
//	1 byte   format, 0x01
//	8 bytes  expiry, Unix milliseconds
//	16 bytes Account, Session, Grant and Event, each
//
// The MAC covers a label and the body.
const (
	linkFormat = 1
	linkSize   = 1 + 8 + 4*16
	linkLabel  = "jeton not me v1"
)

// Seal makes the value of a link to t that works until then. "" means that there
// is no key to sign it with.
func (s *Service) Seal(t Target, until time.Time) string {
	kid, key := s.cfg.Keys.LinkKey()
	if len(key) == 0 {
		return ""
	}
	body := make([]byte, 0, linkSize)
	body = append(body, linkFormat)
	body = binary.BigEndian.AppendUint64(body, uint64(until.UnixMilli())) // #nosec G115 -- after 1970
	for _, id := range []secret.ID{t.Account, t.Session, t.Grant, t.Event} {
		body = append(body, id[:]...)
	}
	mac := secret.MAC(key, []byte(linkLabel), body)
	return kid + "." + base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(mac[:])
}

// Open reads what Seal made. It returns ErrLink for what is forged, cut off,
// expired, or signed with a key that is no longer trusted.
func (s *Service) Open(value string) (Target, error) {
	kid, rest, _ := strings.Cut(value, ".")
	bodyText, macText, ok := strings.Cut(rest, ".")
	if !ok {
		return Target{}, ErrLink
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(bodyText)
	if err != nil || len(body) != linkSize {
		return Target{}, ErrLink
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(macText)
	if err != nil {
		return Target{}, ErrLink
	}
	key, ok := s.cfg.Keys.LinkKeyByID(kid)
	if !ok || len(key) == 0 {
		return Target{}, ErrLink
	}
	if want := secret.MAC(key, []byte(linkLabel), body); !secret.Equal(want[:], mac) || body[0] != linkFormat {
		return Target{}, ErrLink
	}
	if until := time.UnixMilli(int64(binary.BigEndian.Uint64(body[1:9]))); !s.cfg.Now().Before(until) { // #nosec G115 -- we wrote it
		return Target{}, ErrLink
	}
	id := func(i int) secret.ID { return secret.ID(body[9+16*i : 25+16*i]) }
	return Target{Account: id(0), Session: id(1), Grant: id(2), Event: id(3)}, nil
}
