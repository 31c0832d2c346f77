package jeton

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// Token is an access token that was accepted. It is shared by all requests that carry it: do not change it.
// It does not print, and does not give away its text.
type Token struct {
	Scope     string // scope, names separated by spaces
	Subject   string // sub: the account, or the client itself
	ClientID  string // client_id
	ID        string // jti
	GrantID   string // gid, may be empty
	SessionID string // sid, may be empty
	ACR       string // acr: how the person signed in, may be empty

	issuedAt, expiresAt int64   // Unix seconds
	authTime            int64   // Unix seconds, 0 when absent
	version             int64   // ver, 0 when absent
	text                *string // behind a pointer, so that no way of printing reaches it
}

// HasScope reports whether the token has exactly this scope.
func (t *Token) HasScope(name string) bool { return hasScope(t.Scope, name) }

// IssuedAt is iat.
func (t *Token) IssuedAt() time.Time { return time.Unix(t.issuedAt, 0) }

// ExpiresAt is exp.
func (t *Token) ExpiresAt() time.Time { return time.Unix(t.expiresAt, 0) }

// AuthTime is auth_time, when the person signed in; zero where nobody did.
func (t *Token) AuthTime() time.Time {
	if t.authTime == 0 {
		return time.Time{}
	}
	return time.Unix(t.authTime, 0)
}

// Claims reads all claims. They are not kept, in order to keep the memory per token small: it costs about
// two microseconds each time.
func (t *Token) Claims() *jwt.Claims {
	if t.text == nil { // made by hand, not by a guard
		return &jwt.Claims{}
	}
	u, err := jwt.Parse(*t.text, len(*t.text))
	if err != nil {
		return &jwt.Claims{} // cannot happen: the same bytes were verified
	}
	return &u.Claims
}

// Format prints subject and client.
func (t Token) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "token of "+t.Subject+" for "+t.ClientID)
}

// LogValue logs subject, client and jti.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(slog.String("sub", t.Subject), slog.String("client_id", t.ClientID), slog.String("jti", t.ID))
}

type contextKey struct{}

// FromContext is the token of the request, nil where no guard has accepted one.
func FromContext(ctx context.Context) *Token {
	t, _ := ctx.Value(contextKey{}).(*Token)
	return t
}

// WithToken returns a context from which [FromContext] gives this token, for servers that call [Guard.Check]
// themselves.
func WithToken(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}

// record is what the guard keeps of a token it has verified.
type record struct {
	Token
	keyID string                // shared by all tokens of a key
	names                       // zero in mode SignaturesOnly
	bound *bound                // nil for a token that may be used anywhere, and any number of times
	place atomic.Pointer[place] // nil until a route asks, unless the token itself does
}

// texts are the claims that a record refers to, in a row.
func texts(c *jwt.Claims) string {
	return c.Scope + c.Subject + c.ClientID + c.ID + c.GrantID + c.SessionID + c.ACR
}

// fill sets a record from claims. tail is a copy of their texts: nothing else of the request or of the parsed
// token stays in memory.
func (r *record) fill(v *jwt.Token, text *string, tail string) {
	c := &v.Claims
	take := func(n int) (s string) {
		s, tail = tail[:n], tail[n:]
		return s
	}
	r.Token = Token{
		Scope:     take(len(c.Scope)),
		Subject:   take(len(c.Subject)),
		ClientID:  take(len(c.ClientID)),
		ID:        take(len(c.ID)),
		GrantID:   take(len(c.GrantID)),
		SessionID: take(len(c.SessionID)),
		ACR:       take(len(c.ACR)),
		issuedAt:  c.IssuedAt,
		expiresAt: c.ExpiresAt,
		authTime:  c.AuthTime,
		version:   c.Version,
		text:      text,
	}
	r.keyID = v.Key.ID()
}

// names are the ids by which a token can be revoked.
type names struct{ jti, gid, sid revocation.ID }

// namesOf reads them. A token with an id that the authority's feed cannot name was not issued by it.
func namesOf(c *jwt.Claims) (n names, ok bool) {
	for _, id := range []struct {
		text string
		into *revocation.ID
	}{{c.ID, &n.jti}, {c.GrantID, &n.gid}, {c.SessionID, &n.sid}} {
		if id.text == "" {
			continue
		}
		parsed, err := revocation.ParseID(id.text)
		if err != nil {
			return names{}, false
		}
		*id.into = parsed
	}
	return n, true
}
