package transfer_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/postgres"
	"github.com/jetonhq/jeton/internal/store/sqlite"
	"github.com/jetonhq/jeton/internal/store/transfer"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kinds reads the type of every column, and whether it may be NULL.
func kinds(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(), `
SELECT m.name || '.' || c.name, c.type || CASE c."notnull" + c.pk WHEN 0 THEN '?' ELSE '' END
FROM sqlite_schema AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'`)
	must(t, err)
	defer func() { must(t, rows.Close()) }()
	found := map[string]string{}
	for rows.Next() {
		var name, kind string
		must(t, rows.Scan(&name, &kind))
		found[name] = kind
	}
	must(t, rows.Err())
	return found
}

// fill makes a database whose every column has values of its kind, and returns how
// many rows each table has. Tables that are long have two pages.
func fill(t *testing.T, path string, rows int, long ...string) (_ *sqlite.Transfer, want map[string]int64) {
	t.Helper()
	s, err := sqlite.OpenTarget(t.Context(), path)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	kinds := kinds(t, path)
	want = map[string]int64{}
	for _, of := range transfer.Tables {
		n := rows
		switch {
		case of.Single:
			n = 1
		case slices.Contains(long, of.Name):
			n = 6000 // two pages
		}
		want[of.Name] = int64(n)
		list := make([]transfer.Row, n)
		for i := range list {
			for k, column := range of.Columns {
				list[i] = append(list[i], value(of, column, kinds[of.Name+"."+column], i+1, k))
			}
		}
		must(t, s.Write(t.Context(), of, list))
	}
	return s, want
}

var odd = []string{"", "'\"\\", "Ünï ⚙ 日本語", "[]", "a\x00b", "\xff", strings.Repeat("x", 3000)}

func value(of transfer.Table, column, kind string, row, place int) any {
	switch {
	case of.Single && column == "id":
		return int64(1)
	case column == "incarnation":
		return secret.NewID(time.Now()).String()
	case of.Name == "outbox" && column == "seq":
		return int64(row + 1_000_000) // events were swept
	case strings.HasSuffix(kind, "?") && (row+place)%3 == 0:
		return nil
	case of.Flag(column):
		return int64((row + place) % 2)
	case strings.HasPrefix(kind, "INTEGER"):
		return int64(row)
	case strings.HasPrefix(kind, "BLOB"):
		id := secret.NewID(time.Unix(1_800_000_000, 0).Add(time.Duration(row) * time.Minute))
		return id[:]
	case place < of.Keys || column == "login":
		return fmt.Sprintf("%06d", row)
	}
	return fmt.Sprint(row) + odd[(row+place)%len(odd)]
}

func rowsOf(done []transfer.Done) map[string]int64 {
	counts := map[string]int64{}
	for _, d := range done {
		counts[d.Table] = d.Rows
	}
	return counts
}

func digests(t *testing.T, s transfer.Store) map[string]transfer.Done {
	t.Helper()
	all := map[string]transfer.Done{}
	for _, of := range transfer.Tables {
		d, err := transfer.Digest(t.Context(), s, of)
		must(t, err)
		all[of.Name] = d
	}
	return all
}

func openPostgres(t *testing.T, url string, source bool) *postgres.Transfer {
	t.Helper()
	s, err := postgres.OpenTransfer(t.Context(), postgres.Config{URL: url}, source)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Every value of every table comes to PostgreSQL and back, whatever it is; only the
// log has another name each time.
func TestCopy_ThereAndBack(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	from, want := fill(t, filepath.Join(dir, "a.db"), 40)
	url := pgtest.Database(t)
	to := openPostgres(t, url, false)
	done, err := transfer.Copy(ctx, from, to, transfer.Options{})
	must(t, err)
	if diff := cmp.Diff(want, rowsOf(done)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	before, there := digests(t, from), digests(t, to)
	if before["meta"] == there["meta"] {
		t.Error("the copy's log has the name of its source's")
	}

	back, err := sqlite.OpenTarget(ctx, filepath.Join(dir, "b.db"))
	must(t, err)
	defer func() { must(t, back.Close()) }()
	_, err = transfer.Copy(ctx, to, back, transfer.Options{})
	must(t, err)
	again := digests(t, back)
	for _, all := range []map[string]transfer.Done{before, there, again} {
		delete(all, "meta")
	}
	if diff := cmp.Diff(before, again); diff != "" {
		t.Errorf("after both ways (-before +after):\n%s", diff)
	}
	if before["events"].Digest == before["accounts"].Digest || len(slices.Collect(maps.Keys(before))) < 20 {
		t.Error("the digests tell nothing")
	}
}

// altered changes what is read of one table.
type altered struct {
	transfer.Store
	table string
	alter func([]transfer.Row) []transfer.Row
}

func (a altered) Rows(ctx context.Context, of transfer.Table, after transfer.Row, p *transfer.Page) error {
	err := a.Store.Rows(ctx, of, after, p)
	if of.Name == a.table && after == nil {
		p.Rows = a.alter(p.Rows)
	}
	return err
}

// Whatever is lost or changed on the way, in any table and column, is noticed, and no
// server opens the copy.
func TestCopy_NoticesEveryDifference(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	from, _ := fill(t, filepath.Join(dir, "from.db"), 3)
	path := filepath.Join(dir, "to.db")
	to, err := sqlite.OpenTarget(ctx, path)
	must(t, err)
	if _, err := transfer.Copy(ctx, from, unrenewable{to}, transfer.Options{}); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	for _, of := range transfer.Tables {
		good, err := transfer.Digest(ctx, to, of)
		must(t, err)
		for i, column := range of.Columns {
			bad, err := transfer.Digest(ctx, altered{to, of.Name, func(rows []transfer.Row) []transfer.Row {
				last := rows[len(rows)-1]
				switch v := last[i].(type) {
				case int64:
					last[i] = v ^ 1
				case string:
					last[i] = v + "x"
				case []byte:
					last[i] = append([]byte{1}, v...)
				case nil:
					last[i] = int64(0)
				}
				return rows
			}}, of)
			must(t, err)
			if good.Digest == bad.Digest {
				t.Errorf("a change of %s.%s is not noticed", of.Name, column)
			}
		}
		less := altered{to, of.Name, func(rows []transfer.Row) []transfer.Row { return rows[1:] }}
		_, err = transfer.Copy(ctx, from, less, transfer.Options{Retire: true})
		if !errors.Is(err, transfer.ErrNotTheSame) || !strings.Contains(err.Error(), "table "+of.Name+":") {
			t.Errorf("a row less: got %v, want that table %s differs", err, of.Name)
		}
	}
	must(t, to.Close())
	if _, err := sqlite.Open(ctx, sqlite.Config{Path: path}); !errors.Is(err, transfer.ErrUnfinished) {
		t.Errorf("a server opens it: %v", err)
	}
	if m, err := from.Mark(ctx); err != nil || m != (transfer.Mark{}) {
		t.Errorf("the source was marked: %+v, %v", m, err)
	}
}

// failing gives up once so many rows were written.
type failing struct {
	transfer.Store
	left int
	// late: the commit happens before.
	late bool
}

var errBroken = errors.New("broken")

func (f *failing) Write(ctx context.Context, of transfer.Table, rows []transfer.Row) error {
	if f.left--; f.left >= 0 {
		return f.Store.Write(ctx, of, rows)
	}
	if f.late {
		return errors.Join(errBroken, f.Store.Write(ctx, of, rows))
	}
	return errBroken
}

// A copy that ends after any commit, whether that is known to have happened or not, goes
// on and is complete in the end.
func TestCopy_GoesOnFromAnyCommit(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	from, want := fill(t, filepath.Join(dir, "from.db"), 2, "tokens")
	path := filepath.Join(dir, "to.db")
	to, err := sqlite.OpenTarget(ctx, path)
	must(t, err)
	defer func() { _ = to.Close() }()
	for n := 0; ; n++ {
		done, err := transfer.Copy(ctx, from, &failing{to, 4, n%2 == 0}, transfer.Options{})
		if err == nil {
			if diff := cmp.Diff(want, rowsOf(done)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if n < 5 {
				t.Errorf("it failed %d times only", n)
			}
			break
		}
		if !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
	}
	must(t, to.Close())
	s, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	must(t, err)
	must(t, s.Close())
}

// What must not be copied, or copied into, is refused and stays as it was.
func TestCopy_Refuses(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	open := func(name string) *sqlite.Transfer {
		s, err := sqlite.OpenTarget(ctx, filepath.Join(dir, name))
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	from, _ := fill(t, filepath.Join(dir, "from.db"), 2)
	other, _ := fill(t, filepath.Join(dir, "other.db"), 2)
	half := open("half.db")
	if _, err := transfer.Copy(ctx, from, &failing{half, 5, false}, transfer.Options{}); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	gone, _ := fill(t, filepath.Join(dir, "gone.db"), 2)
	kept := open("kept.db")
	_, err := transfer.Copy(ctx, gone, kept, transfer.Options{Retire: true, To: "sqlite:kept.db"})
	must(t, err)
	for name, try := range map[string]struct {
		from, to transfer.Store
		want     error
	}{
		"over another database":              {from, other, transfer.ErrNotEmpty},
		"over a finished copy":               {gone, kept, transfer.ErrRetired},
		"over a copy of another":             {other, half, transfer.ErrNotEmpty},
		"an unfinished copy":                 {half, open("x.db"), transfer.ErrUnfinished},
		"a database that was moved":          {gone, open("y.db"), transfer.ErrRetired},
		"a finished copy's source elsewhere": {gone, half, transfer.ErrRetired},
	} {
		if _, err := transfer.Copy(ctx, try.from, try.to, transfer.Options{}); !errors.Is(err, try.want) {
			t.Errorf("%s: got %v, want %v", name, err, try.want)
		}
	}
	must(t, gone.Close())
	if _, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "gone.db")}); !errors.Is(err, transfer.ErrRetired) || !strings.Contains(err.Error(), "sqlite:kept.db") {
		t.Errorf("a server opens what was moved: %v", err)
	}
}

// A copy that died between retiring its source and its own end goes on.
func TestCopy_DiedRetiring(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	from, _ := fill(t, filepath.Join(dir, "from.db"), 2)
	to, err := sqlite.OpenTarget(ctx, filepath.Join(dir, "to.db"))
	must(t, err)
	defer func() { must(t, to.Close()) }()
	if _, err := transfer.Copy(ctx, from, unrenewable{to}, transfer.Options{Retire: true}); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if m, err := from.Mark(ctx); err != nil || m.State != transfer.Retired {
		t.Fatalf("mark %+v, %v", m, err)
	}
	_, err = transfer.Copy(ctx, from, to, transfer.Options{Retire: true})
	must(t, err)
}

type unrenewable struct{ transfer.Store }

func (unrenewable) Renew(context.Context) error { return errBroken }

// While a server has a database, it is neither copied nor copied into; and the other
// way round.
func TestTransfer_Alone(t *testing.T) {
	ctx := t.Context()
	path, url := filepath.Join(t.TempDir(), "a.db"), pgtest.Database(t)
	embedded, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	must(t, err)
	if _, err := sqlite.OpenSource(ctx, path); !errors.Is(err, transfer.ErrInUse) {
		t.Errorf("SQLite in use: %v", err)
	}
	must(t, embedded.Close())

	node, err := postgres.Open(ctx, postgres.Config{URL: url})
	must(t, err)
	joined := time.Now().Add(10 * time.Second)
	for {
		s, err := postgres.OpenTransfer(ctx, postgres.Config{URL: url}, true)
		if errors.Is(err, transfer.ErrInUse) {
			break
		}
		must(t, err)
		must(t, s.Close())
		if time.Now().After(joined) {
			t.Fatal("PostgreSQL in use is copied")
		}
	}
	must(t, node.Close())
	alone := openPostgres(t, url, true)
	if _, err := postgres.Open(ctx, postgres.Config{URL: url}); err == nil {
		t.Error("a node starts while it is copied")
	}
	must(t, alone.Close())
	node, err = postgres.Open(ctx, postgres.Config{URL: url})
	must(t, err)
	must(t, node.Close())
}
