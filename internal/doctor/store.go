package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/seal"
	"github.com/jetonhq/jeton/internal/store/sqlite"
)

// file is the database, "" if it is none of the embedded store.
func (e *examination) file() string {
	path, ok := strings.CutPrefix(e.Config.Config.Store.URL, "sqlite:")
	if !ok {
		return ""
	}
	return path
}

// sealing holds the master keys against every secret in the database.
func (e *examination) sealing(ctx context.Context) (found []Finding) {
	const check = "sealing key"
	if e.file() == "" {
		return nil // a server that has started has held the key against the database
	}
	store, err := sqlite.OpenReadOnly(ctx, e.file())
	if errors.Is(err, fs.ErrNotExist) {
		return []Finding{good(check, "there is no database yet")}
	}
	if err != nil {
		return []Finding{problem(check, "the database cannot be read: "+err.Error(), "run this as the user that runs the server, with the database in reach")}
	}
	defer func() {
		if err := store.Close(); err != nil {
			found = append(found, warning(check, err.Error(), "look at the file's owner and mode"))
		}
	}()
	masters, err := e.Config.Config.Masters()
	if err != nil {
		return []Finding{problem(check, err.Error(), "mend the setting that it names")}
	}
	n, err := seal.Check(ctx, store, masters)
	if err != nil {
		return []Finding{problem(check, err.Error(), "configure the master key that it names; docs/secrets.md says which one that is")}
	}
	return []Finding{good(check, fmt.Sprintf("it opens all %d secrets in the database", n))}
}

const (
	littleRoom = 1 << 30
	noRoom     = 128 << 20
	slowWrite  = 50 * time.Millisecond
	badWrite   = 500 * time.Millisecond
)

// database looks at the file, its schema, its disk, and how long a write takes.
func (e *examination) database(ctx context.Context) []Finding {
	var found []Finding
	if e.diagnosis != nil && e.diagnosis.NotReady == "" {
		took := e.diagnosis.StoreWrite.Std()
		found = append(found, graded("durable write", took, slowWrite, badWrite, "the slowest of five took "+took.Round(10*time.Microsecond).String(),
			"every answer waits for such a write: use a local disk with a write cache that survives a power cut, not a network file system"))
	}
	path := e.file()
	if path == "" {
		return found // disk, schema and settings are those of another server
	}
	found = append(found, e.disk(filepath.Dir(path)))
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return append(found, good("database file", "it is not there yet; the first start makes it"))
	}
	if err != nil {
		return append(found, problem("database file", err.Error(), "mend the path in store.url, or the rights on its directory"))
	}
	found = append(found, fileMode(info), e.schema(ctx, path))
	return append(found, e.journal(ctx, path))
}

func fileMode(info fs.FileInfo) Finding {
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return problem("database file", fmt.Sprintf("its mode is %o: others can read all personal data", mode), "chmod 600 "+info.Name())
	}
	return good("database file", fmt.Sprintf("%d bytes, for its owner only", info.Size()))
}

func (e *examination) disk(dir string) Finding {
	free, known := sqlite.FreeSpace(dir)
	if !known {
		return warning("disk", "its room cannot be asked at "+dir, "make sure that the directory of store.url exists")
	}
	text := fmt.Sprintf("%d MB are free", free>>20)
	const do = "make room: when the disk is full nothing is issued or revoked"
	switch {
	case free < noRoom:
		return problem("disk", text, do)
	case free < littleRoom:
		return warning("disk", text, do)
	}
	return good("disk", text)
}

func (e *examination) schema(ctx context.Context, path string) Finding {
	list, err := sqlite.Migrations(ctx, path)
	if err != nil {
		return problem("schema", err.Error(), "use the program that fits the database")
	}
	missing := 0
	for _, m := range list {
		if m.AppliedAt.IsZero() {
			missing++
		}
	}
	if missing > 0 {
		return warning("schema", fmt.Sprintf("%d of %d migrations are not applied", missing, len(list)), "run `jeton migrate plan`, and then `jeton migrate up` with the server stopped")
	}
	return good("schema", fmt.Sprintf("all %d migrations are applied", len(list)))
}

// journal: synchronous is no property of the file. The server sets it to FULL on
// every connection that writes.
func (e *examination) journal(ctx context.Context, path string) Finding {
	store, err := sqlite.OpenReadOnly(ctx, path)
	if err != nil {
		return problem("durability", err.Error(), "run this as the user that runs the server")
	}
	mode, err := store.JournalMode(ctx)
	if err = errors.Join(err, store.Close()); err != nil {
		return problem("durability", err.Error(), "look at the file's owner and mode")
	}
	if mode != "wal" {
		return warning("durability", "journal_mode is "+mode+", which a restored backup has until its first start", "start the server, which makes it wal")
	}
	return good("durability", "journal_mode wal; the server writes with synchronous=FULL")
}
