package sqlite

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/jetonhq/jeton/internal/authority"
)

// A copy that is being made lies beside the database, as the only place that is
// known to have this owner, this secrecy and, if anything has, the room.
const (
	copySuffix = ".backup-"
	// copyRoom is how much of the disk must stay free, in bytes: a copy must not
	// be what stops the server.
	copyRoom = 64 << 20
)

// Copy implements authority.Copier.
func (s *Store) Copy(ctx context.Context) (_ authority.Copy, err error) {
	if err := s.roomForCopy(); err != nil {
		return authority.Copy{}, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(s.path), filepath.Base(s.path)+copySuffix)
	if err != nil {
		return authority.Copy{}, fmt.Errorf("copy database: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	path := filepath.Join(dir, "copy.db")
	if err := s.Backup(ctx, path); err != nil {
		return authority.Copy{}, err
	}
	file, err := os.Open(path) // #nosec G304 -- made above
	if err != nil {
		return authority.Copy{}, err
	}
	digest := sha256.New()
	size, err := io.Copy(digest, file)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return authority.Copy{}, errors.Join(fmt.Errorf("read the copy: %w", err), file.Close())
	}
	c := authority.Copy{Content: copied{file, dir}, Size: size}
	digest.Sum(c.Digest[:0])
	return c, nil
}

// copied removes the copy when it was read.
type copied struct {
	*os.File
	dir string
}

// Close implements io.Closer.
func (c copied) Close() error { return errors.Join(c.File.Close(), os.RemoveAll(c.dir)) }

func (s *Store) roomForCopy() error {
	free, known := FreeSpace(filepath.Dir(s.path))
	if !known {
		return nil
	}
	var need int64 = copyRoom
	for _, name := range []string{s.path, s.path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			need += info.Size()
		}
	}
	if free < uint64(need) {
		return fmt.Errorf("copy database: %d bytes are free beside it and the copy may need %d: %w", free, need, authority.ErrNoRoom)
	}
	return nil
}

// removeAbandoned removes copies that a process died over. The caller holds the
// lock of the database at path.
func removeAbandoned(path string) error {
	left, err := filepath.Glob(escapeGlob(path) + copySuffix + "*")
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// escapeGlob makes filepath.Glob take a path as it is.
func escapeGlob(path string) string {
	var escaped []rune
	for _, r := range path {
		if r == '*' || r == '?' || r == '[' || r == '\\' && filepath.Separator != '\\' {
			escaped = append(escaped, '\\')
		}
		escaped = append(escaped, r)
	}
	return string(escaped)
}
