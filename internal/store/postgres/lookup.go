package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/columns"
)

// lookup is one caller's question for rows by their keys. The answer may hold more
// than was asked for, and belongs to others as well.
type lookup[K comparable, V any] struct {
	keys  []K
	found map[K]V
}

// lookups gathers the questions that every token needs: what waits while others
// are answered is asked in one statement.
type lookups[K comparable, V any] struct {
	*group[*lookup[K, V]]
}

// newLookups asks with a statement whose one parameter is a list of keys.
func newLookups[K comparable, V any](s *Store, what, text string, list func([]K) any, scan func(columns.Row) (V, error), key func(V) K) lookups[K, V] {
	read := func(ctx context.Context, conn *pgxpool.Conn, batch []*lookup[K, V]) ([]error, error) {
		var keys []K
		for _, l := range batch {
			keys = append(keys, l.keys...)
		}
		rows, err := conn.Query(ctx, text, list(keys))
		if err != nil {
			return nil, err
		}
		all, err := collect(rows, scan)
		found := make(map[K]V, len(all))
		for _, v := range all {
			found[key(v)] = v
		}
		for _, l := range batch {
			l.found = found
		}
		return make([]error, len(batch)), err
	}
	return lookups[K, V]{&group[*lookup[K, V]]{
		store: s, what: what, max: DefaultMaxQueue, batch: maxBatch, limit: maxFlights, crowd: crowd, reads: true, write: read,
	}}
}

func (g lookups[K, V]) get(ctx context.Context, keys ...K) (map[K]V, error) {
	l := &lookup[K, V]{keys: keys}
	err := g.do(ctx, l)
	return l.found, err
}

// one returns the row of a key, or ErrNotFound.
func (g lookups[K, V]) one(ctx context.Context, key K) (V, error) {
	found, err := g.get(ctx, key)
	v, there := found[key]
	if err == nil && !there {
		err = fmt.Errorf("%s: %w", g.what, authority.ErrNotFound)
	}
	return v, err
}
