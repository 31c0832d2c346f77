package authority

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// Records is a store that can leave the rows of tokens to another one. With a
// token whose Elsewhere is set, Issue, Redeem, Rotate and IssueBatch do all they
// promise except for writing its row, and Revoke logs its end without looking for
// the row: whoever sets Elsewhere has written the row before, or found it. The
// promise between them and Revoke holds as before.
type Records interface {
	Store
	// Vouch returns the states of tokens whose rows are kept elsewhere. One that was
	// revoked by itself is left out, as the log says.
	Vouch(ctx context.Context, tokens []Token) (map[secret.ID]TokenState, error)
}

// Forgetful is a store that can lose rows of tokens without anybody's doing.
type Forgetful interface {
	// LostBefore returns a time such that rows of tokens made since then were not lost.
	LostBefore(ctx context.Context, now time.Time) (time.Time, error)
}

// Under says whether the token may be registered under its grant as it was read:
// what Issue answers where there is nothing to write.
func (i Issue) Under(g Grant, err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrEnded
	case err != nil:
		return err
	case !g.Live(i.Now):
		return ErrEnded
	case i.IfGeneration != nil && *i.IfGeneration != g.Generation:
		return fmt.Errorf("generation: %w", ErrConflict)
	}
	return nil
}
