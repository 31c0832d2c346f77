package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// A page is full with so many rows, or about so many bytes.
const (
	pageRows  = 5000
	pageBytes = 4 << 20
)

// Page takes the rows of one read.
type Page struct {
	Rows  []Row
	bytes int
}

// Limit is how many rows a page takes.
func (p *Page) Limit() int { return pageRows }

// Add takes a row as the engine gives it, and reports whether there is room for more.
func (p *Page) Add(values []any) (more bool) {
	for i, v := range values {
		values[i] = canonical(v)
		switch v := values[i].(type) {
		case string:
			p.bytes += len(v)
		case []byte:
			p.bytes += len(v)
		}
	}
	p.Rows = append(p.Rows, values)
	return len(p.Rows) < pageRows && p.bytes < pageBytes
}

// canonical is a value in the form that both engines share. PostgreSQL cannot hold
// every text that SQLite can: what is not Unicode, and NUL, becomes U+FFFD.
func canonical(v any) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(strings.ToValidUTF8(v, "\uFFFD"), "\x00", "\uFFFD")
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case int32:
		return int64(v)
	case []byte:
		if v == nil {
			return []byte{}
		}
	}
	return v
}

// digest adds rows to a hash. Each value has its type and length before it, so that
// different rows never look the same.
type digest struct {
	sum  hash.Hash
	rows int64
	buf  []byte
}

func (d *digest) add(rows []Row) error {
	for _, row := range rows {
		d.buf = d.buf[:0]
		for _, v := range row {
			switch v := v.(type) {
			case nil:
				d.buf = append(d.buf, 'n')
			case int64:
				d.buf = binary.BigEndian.AppendUint64(append(d.buf, 'i'), uint64(v)) // #nosec G115 -- its bits
			case string:
				d.buf = append(binary.BigEndian.AppendUint64(append(d.buf, 't'), uint64(len(v))), v...)
			case []byte:
				d.buf = append(binary.BigEndian.AppendUint64(append(d.buf, 'b'), uint64(len(v))), v...)
			default:
				return fmt.Errorf("a column holds %T", v)
			}
		}
		d.sum.Write(d.buf)
	}
	d.rows += int64(len(rows))
	return nil
}

// Digest reads a whole table.
func Digest(ctx context.Context, s Store, t Table) (Done, error) {
	d := digest{sum: sha256.New()}
	var after Row
	for {
		var p Page
		if err := s.Rows(ctx, t, after, &p); err != nil {
			return Done{}, err
		}
		if len(p.Rows) == 0 {
			return Done{Table: t.Name, Rows: d.rows, Digest: hex.EncodeToString(d.sum.Sum(nil))}, nil
		}
		if err := d.add(p.Rows); err != nil {
			return Done{}, err
		}
		after = t.key(p.Rows[len(p.Rows)-1])
	}
}

// verify reads both sides, each table at the same time, and compares.
func verify(ctx context.Context, from, to Store) ([]Done, error) {
	var done []Done
	var wrong []error
	for _, t := range Tables {
		var source, target Done
		var errs [2]error
		var work sync.WaitGroup
		work.Go(func() { source, errs[0] = Digest(ctx, from, t) })
		work.Go(func() { target, errs[1] = Digest(ctx, to, t) })
		work.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			return nil, fmt.Errorf("verify table %s: %w", t.Name, err)
		}
		if source != target {
			wrong = append(wrong, fmt.Errorf("table %s: %d rows with digest %.16s in the source, %d with %.16s in the copy",
				t.Name, source.Rows, source.Digest, target.Rows, target.Digest))
		}
		done = append(done, source)
	}
	if wrong != nil {
		return nil, errors.Join(append([]error{ErrNotTheSame}, append(wrong, errSourceMoved)...)...)
	}
	return done, nil
}
