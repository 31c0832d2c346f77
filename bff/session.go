package bff

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/jetonhq/jeton/client"
)

// session is what is kept of somebody who signed in.
type session struct {
	version uint64 // of the record it came from

	subject   string
	sessionID string // at the authority, "" when it has none
	created   time.Time
	seen      time.Time // last request, coarsely

	access   client.Secret
	expiry   time.Time // of the access token
	obtained time.Time
	refresh  client.Secret // empty when the authority gave none

	claims   map[string]json.RawMessage
	claimsOf Digest // the access token that they were asked with

	lease lease
}

// lease is a server's word that it is refreshing. Until it ends no other one does, so that the refresh token is not
// presented twice; a server that was killed meanwhile holds others up no longer than that.
type lease struct {
	ID    string    `json:"id"`
	Until time.Time `json:"until"`
}

// stored is a session as it is sealed: one JSON object. Members are added, and never given another meaning.
type stored struct {
	Subject   string                     `json:"sub"`
	SessionID string                     `json:"sid,omitempty"`
	Created   time.Time                  `json:"created"`
	Seen      time.Time                  `json:"seen"`
	Access    string                     `json:"access"`
	Expiry    time.Time                  `json:"expiry"`
	Obtained  time.Time                  `json:"obtained"`
	Refresh   string                     `json:"refresh,omitempty"`
	Claims    map[string]json.RawMessage `json:"claims,omitempty"`
	ClaimsOf  []byte                     `json:"claims_of,omitempty"`
	Lease     *lease                     `json:"lease,omitempty"`
}

// next is a copy to be changed and stored in place of s.
func (s *session) next() *session {
	n := *s
	n.version++
	n.claims = maps.Clone(s.claims)
	return &n
}

// good reports whether the access token has not expired.
func (s *session) good(now time.Time) bool { return now.Before(s.expiry) }

// due is when the access token is to be replaced: a fifth of its life before it expires, but at least 30 s, and
// never in its first half. Sessions differ by a quarter, so that many that began together do not refresh together.
func (s *session) due(key Digest) time.Time {
	life := s.expiry.Sub(s.obtained)
	early := max(life/5, 30*time.Second)
	early += time.Duration(float64(early) * (float64(key[0])/512 - 0.25))
	return s.expiry.Add(-min(early, life/2))
}

// ends is when the session is over unless it is used before.
func (a *App) ends(s *session) time.Time {
	idle, absolute := s.seen.Add(a.config.Idle), s.created.Add(a.config.Absolute)
	if idle.Before(absolute) {
		return idle
	}
	return absolute
}

func (a *App) record(key Digest, s *session) (Record, error) {
	content := stored{
		Subject: s.subject, SessionID: s.sessionID, Created: s.created.UTC(), Seen: s.seen.UTC(),
		Access: s.access.Reveal(), Expiry: s.expiry.UTC(), Obtained: s.obtained.UTC(), Refresh: s.refresh.Reveal(), Claims: s.claims,
	}
	if s.claimsOf != (Digest{}) {
		content.ClaimsOf = s.claimsOf[:]
	}
	if s.lease.ID != "" {
		content.Lease = &s.lease
	}
	plain, err := json.Marshal(content)
	if err != nil {
		return Record{}, err
	}
	r := Record{Version: s.version, Subject: digest("sub", s.subject), Expires: a.ends(s), Data: a.sealer.seal(plain, place(key))}
	if s.sessionID != "" {
		r.SessionID = digest("sid", s.sessionID)
	}
	return r, nil
}

func (a *App) unseal(key Digest, r Record) (*session, error) {
	plain, err := a.sealer.open(r.Data, place(key))
	if err != nil {
		return nil, err
	}
	var c stored
	if json.Unmarshal(plain, &c) != nil {
		return nil, errSealed // a JSON error may quote it
	}
	s := &session{
		version: r.Version, subject: c.Subject, sessionID: c.SessionID, created: c.Created, seen: c.Seen,
		access: client.NewSecret(c.Access), expiry: c.Expiry, obtained: c.Obtained, refresh: client.NewSecret(c.Refresh), claims: c.Claims,
	}
	copy(s.claimsOf[:], c.ClaimsOf)
	if c.Lease != nil {
		s.lease = *c.Lease
	}
	return s, nil
}

func place(key Digest) string { return "session " + key.String() }
