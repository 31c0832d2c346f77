package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/store/columns"
	"github.com/jetonhq/jeton/internal/traces"
)

// stmt returns the prepared statement for a text. database/sql prepares it once
// on each pooled connection.
func (s *Store) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if known, ok := s.stmts.Load(text); ok {
		return known.(*sql.Stmt), nil
	}
	prepared, err := s.reads.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if known, raced := s.stmts.LoadOrStore(text, prepared); raced {
		_ = prepared.Close()
		return known.(*sql.Stmt), nil
	}
	return prepared, nil
}

// one reads a single row, or returns ErrNotFound. Errors say what was read.
func one[T any](ctx context.Context, s *Store, what string, scan func(columns.Row) (T, error), text string, args ...any) (_ T, err error) {
	ctx, span := traces.Begin(ctx, "store", what)
	defer func() { span.End(err) }()
	var none T
	stmt, err := s.stmt(ctx, text)
	if err != nil {
		return none, fmt.Errorf("%s: %w", what, err)
	}
	v, err := scan(stmt.QueryRowContext(ctx, args...))
	if errors.Is(err, sql.ErrNoRows) {
		err = authority.ErrNotFound
	}
	if err != nil {
		return none, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

// many reads all rows of an answer that the text limits.
func many[T any](ctx context.Context, s *Store, what string, scan func(columns.Row) (T, error), text string, args ...any) (_ []T, err error) {
	ctx, span := traces.Begin(ctx, "store", what)
	defer func() { span.End(err) }()
	stmt, err := s.stmt(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	found, err := collect(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return found, nil
}

func collect[T any](rows *sql.Rows, scan func(columns.Row) (T, error)) ([]T, error) {
	defer rows.Close()
	var found []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, v)
	}
	return found, rows.Err()
}
