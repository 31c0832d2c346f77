package flow

import (
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// stateLifetime is how long a proof can be used after it was made.
const stateLifetime = 15 * time.Minute

// State is what a person has already done for one authorization request. The
// zero State, nothing yet, is where every request begins.
type State struct {
	Authenticated secret.ID // the session made by signing in during the request
	Selected      secret.ID // the session whose account was chosen
	Switch        bool      // another account than the signed-in one is wanted
}

// settled reports whether the person has signed in for this request, or chosen
// the account of this session.
func (s State) settled(session secret.ID) bool {
	return s.Authenticated == session || s.Selected == session
}

// A sealed state is kid "." base64url(body) "." base64url(MAC), about 150 bytes:
//
//	1 byte   format, 0x01
//	8 bytes  expiry, Unix milliseconds
//	16 bytes Authenticated
//	16 bytes Selected
//	1 byte   flags: 1 Switch
//
// The MAC covers a label, the body, and the SHA-256 of the request's query.
const (
	stateFormat = 1
	stateSize   = 1 + 8 + 16 + 16 + 1
	stateLabel  = "jeton flow state v1"
	flagSwitch  = 1
)

// Seal signs s for the request with this query. The zero State seals to "".
func (f *Flow) Seal(s State, query string) string {
	if s == (State{}) {
		return ""
	}
	body := make([]byte, 0, stateSize)
	body = append(body, stateFormat)
	body = binary.BigEndian.AppendUint64(body, uint64(f.cfg.Now().Add(stateLifetime).UnixMilli())) // #nosec G115 -- after 1970
	body = append(body, s.Authenticated[:]...)
	body = append(body, s.Selected[:]...)
	var flags byte
	if s.Switch {
		flags |= flagSwitch
	}
	body = append(body, flags)
	kid, key := f.cfg.Key()
	mac := stateMAC(key, body, query)
	return kid + "." + base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(mac[:])
}

// Open reads what Seal made for the same query. A token that is forged, expired,
// or made for another request proves nothing, so it opens to the zero State: the
// person is asked again, and nothing else goes wrong.
func (f *Flow) Open(token, query string) State {
	kid, rest, _ := strings.Cut(token, ".")
	bodyText, macText, ok := strings.Cut(rest, ".")
	if !ok {
		return State{}
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(bodyText)
	if err != nil || len(body) != stateSize {
		return State{}
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(macText)
	if err != nil {
		return State{}
	}
	key, ok := f.cfg.KeyByID(kid)
	if !ok || len(key) == 0 {
		return State{}
	}
	if want := stateMAC(key, body, query); !secret.Equal(want[:], mac) {
		return State{}
	}
	if body[0] != stateFormat {
		return State{}
	}
	expires := time.UnixMilli(int64(binary.BigEndian.Uint64(body[1:9]))) // #nosec G115 -- we wrote it
	if !f.cfg.Now().Before(expires) {
		return State{}
	}
	return State{
		Authenticated: secret.ID(body[9:25]),
		Selected:      secret.ID(body[25:41]),
		Switch:        body[41]&flagSwitch != 0,
	}
}

func stateMAC(key, body []byte, query string) [32]byte {
	digest := secret.Digest(Canonical(query))
	return secret.MAC(key, []byte(stateLabel), body, digest[:])
}

// Canonical is the one spelling of a query string that means the same: what
// browsers, proxies and templates write differently (order, %7E or ~, %20 or +)
// is written one way. What does not parse is returned as it is.
func Canonical(query string) string {
	values, err := url.ParseQuery(query)
	if err != nil {
		return query
	}
	return values.Encode()
}
