package jeton

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unsafe"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// Token is an access token that was accepted. It is shared by all requests that carry it: do not change it.
// It does not print, and does not give away its text.
type Token struct {
	Subject   string // sub: the account, or the client itself
	ClientID  string // client_id
	Scope     string // scope, names separated by spaces
	ID        string // jti
	GrantID   string // gid, may be empty
	SessionID string // sid, may be empty

	issuedAt, expiresAt int64   // Unix seconds
	text                *string // behind a pointer, so that no way of printing reaches it
}

// HasScope reports whether the token has exactly this scope.
func (t *Token) HasScope(name string) bool { return hasScope(t.Scope, name) }

// IssuedAt is iat.
func (t *Token) IssuedAt() time.Time { return time.Unix(t.issuedAt, 0) }

// ExpiresAt is exp.
func (t *Token) ExpiresAt() time.Time { return time.Unix(t.expiresAt, 0) }

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
	keyID         string // shared by all tokens of a key
	jti, gid, sid revocation.ID
}

// newRecord copies what it needs into one string, so that nothing else of the request or of the parsed token
// stays in memory. extra is what the record occupies beside itself and the token's text.
func newRecord(text string, v *jwt.Token) (r record, extra int) {
	c := &v.Claims
	var b strings.Builder
	b.Grow(len(text) + len(c.Scope) + len(c.Subject) + len(c.ClientID) + len(c.ID) + len(c.GrantID) + len(c.SessionID))
	b.WriteString(text)
	for _, s := range []string{c.Scope, c.Subject, c.ClientID, c.ID, c.GrantID, c.SessionID} {
		b.WriteString(s)
	}
	all := b.String()
	rest := all[len(text):]
	take := func(n int) (s string) {
		s, rest = rest[:n], rest[n:]
		return s
	}
	own := all[:len(text)]
	r = record{
		Token: Token{
			Scope:     take(len(c.Scope)),
			Subject:   take(len(c.Subject)),
			ClientID:  take(len(c.ClientID)),
			ID:        take(len(c.ID)),
			GrantID:   take(len(c.GrantID)),
			SessionID: take(len(c.SessionID)),
			issuedAt:  c.IssuedAt,
			expiresAt: c.ExpiresAt,
			text:      &own,
		},
		keyID: v.Key.ID(),
	}
	return r, len(all) - len(own) + int(unsafe.Sizeof(own))
}

// name reads the ids by which the token can be revoked. A token with an id that the authority's feed cannot
// name was not issued by it.
func (r *record) name() bool {
	for _, id := range []struct {
		text string
		into *revocation.ID
	}{{r.ID, &r.jti}, {r.GrantID, &r.gid}, {r.SessionID, &r.sid}} {
		if id.text == "" {
			continue
		}
		parsed, err := revocation.ParseID(id.text)
		if err != nil {
			return false
		}
		*id.into = parsed
	}
	return true
}
