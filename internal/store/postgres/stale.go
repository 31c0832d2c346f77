package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

const sqlMarkStale = `UPDATE grants SET stale = TRUE WHERE ended_at IS NULL AND account_id = $1 RETURNING id`

// ChangeClaims implements authority.AccountStore.
func (s *Store) ChangeClaims(ctx context.Context, a authority.Account, keep time.Time, e authority.Event) error {
	return s.append(ctx, "change claims", func(t *tx) error {
		if err := updateAccount(t, a); err != nil {
			return err
		}
		marked, err := t.ids(sqlMarkStale, a.ID[:])
		if err != nil {
			return err
		}
		slices.SortFunc(marked, secret.ID.Compare)
		data := fmt.Appendf(nil, `{"ver":%d}`, a.Version+1)
		for _, id := range marked {
			entry := authority.LogEntry{Kind: authority.KindGrantStale, ID: id, Data: data, At: a.UpdatedAt, Until: keep}
			if err := appendLog(t, &entry); err != nil {
				return err
			}
		}
		return insertEvent(t, e)
	})
}
