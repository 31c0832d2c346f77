package authority

import (
	"context"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// DataKey is a key that seals, as it rests in the store: wrapped by a master
// key that is kept elsewhere. The newest seals; older ones open what has not
// been sealed again yet.
type DataKey struct {
	ID        secret.ID
	Master    string // names the master key that wrapped it: where it is kept and a fingerprint, never the key
	Wrapped   []byte
	CreatedAt time.Time
	WrappedAt time.Time
}

// SealedValue is one sealed value in the store.
type SealedValue struct {
	Row    string // where it is; also the point after which Sealed continues
	Place  string // what it was sealed for
	Sealed []byte
}

// Reseal replaces one sealed value with another of the same secret.
type Reseal struct {
	Row      string
	Was, New []byte
}

// SealStore keeps the wrapped data keys and walks what is sealed.
//
// Every owner of a secret column seals with the authority's one *secret.Sealer
// before it writes and opens after it reads. For a change of the data key the
// store must know the column: see the engine's list of sealed columns. The name
// of such a column is "sealed" or ends with "_sealed".
type SealStore interface {
	DataKeys(ctx context.Context) ([]DataKey, error) // oldest first
	// AddDataKey stores k as the newest. ErrConflict: the newest so far is not
	// after (zero: there is none).
	AddDataKey(ctx context.Context, k DataKey, after secret.ID, e Event) error
	// RewrapDataKey stores k's new Master, Wrapped and WrappedAt if its wrapped
	// form still is was. ErrConflict: it is another. ErrNotFound.
	RewrapDataKey(ctx context.Context, k DataKey, was []byte, e Event) error
	// RemoveDataKey removes a data key. ErrConflict: it is the newest, or
	// something is still sealed under it. ErrNotFound.
	RemoveDataKey(ctx context.Context, id secret.ID, e Event) error
	// Sealed returns at most limit sealed values after a Row ("": from the
	// first), and the Row to continue after, which is "" when there are no more.
	// A page may be empty and yet have a next one.
	Sealed(ctx context.Context, after string, limit int) (values []SealedValue, next string, err error)
	// Reseal replaces, in one commit, the values that still are what they were;
	// those that changed or went away meanwhile are left alone. It returns how
	// many were replaced.
	Reseal(ctx context.Context, changes []Reseal) (int, error)
}
