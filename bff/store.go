package bff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// Errors of stores.
var (
	ErrNotFound = errors.New("bff: no such session")
	ErrConflict = errors.New("bff: the session was changed by somebody else")
	ErrFull     = errors.New("bff: there is no room for another session")
)

// Digest names something in a [Store] without giving it away: it is the SHA-256 of a cookie's value, of a subject,
// or of a session's id at the authority. The zero Digest is none.
type Digest [sha256.Size]byte

// String is the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

func digest(kind, value string) Digest { return sha256.Sum256([]byte(kind + "\x00" + value)) }

// Record is a session as a [Store] sees it.
type Record struct {
	// Version is 1 in a new record, and one higher after each Replace.
	Version uint64

	// Subject and SessionID say whose session it is, and to which session at the authority it belongs, if to any.
	Subject, SessionID Digest

	// Expires is when the session ends unless it is replaced by then. The record may be dropped from then on.
	Expires time.Time

	// Data is sealed: a store cannot read it and need not protect it. It is at most a few kilobytes.
	Data []byte
}

// Store keeps sessions. Servers that share one share their sessions. Every method is atomic, for all processes that
// use the store, and may be called from many goroutines at once; what was answered without an error survives
// whatever the store promises to survive.
type Store interface {
	// Create stores a new record. [ErrConflict] if there is one with this key, [ErrFull] if there are too many.
	Create(ctx context.Context, key Digest, r Record) error

	// Find returns a record, or [ErrNotFound]. Whether it has expired is the caller's to see.
	Find(ctx context.Context, key Digest) (Record, error)

	// Replace stores r in place of the record whose version is one lower: compare and swap. [ErrConflict] if there
	// is another version, [ErrNotFound] if there is none. A session that was ended must stay so: no Replace that
	// was under way may bring it back.
	Replace(ctx context.Context, key Digest, r Record) error

	// End removes a record. That there is none is no error.
	End(ctx context.Context, key Digest) error

	// EndSession removes all records with this SessionID and EndSubject all with this Subject. They return how many
	// these were.
	EndSession(ctx context.Context, sessionID Digest) (int, error)
	EndSubject(ctx context.Context, subject Digest) (int, error)
}
