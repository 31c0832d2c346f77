package authority

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
)

// ErrNoRoom: the disk has no room for what was asked.
var ErrNoRoom = errors.New("no room on the disk")

// Copy is a consistent copy of all records. Closing Content removes it.
type Copy struct {
	Content io.ReadCloser
	Size    int64             // bytes
	Digest  [sha256.Size]byte // SHA-256 of Content
}

// Copier is a store that can copy itself while it serves. The copy is another
// life of the revocation log.
type Copier interface {
	// Copy returns once the copy is complete. ErrNoRoom: it might fill the disk.
	Copy(ctx context.Context) (Copy, error)
}
