package bff

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// DirectoryStore is a [Store] in a directory of the local disk, which survives restarts and which any number of
// processes may share. It needs no lock: a session is a directory of its own, and a version of it a file, whose name
// only one process can make. It is made by [OpenDirectory].
//
//	sessions/<2 digits>/<key>/<version>   the highest counts
//	sessions/<2 digits>/<key>/making-...  somebody is about to make a version
//	owners/<2 digits>/<owner>/<key>       empty: which sessions belong to a subject, or to a session at the authority
//	new/                                  what is being made, and what is being removed
//
// What was answered is on the disk. Expired sessions are removed as others are made.
type DirectoryStore struct{ root string }

var _ Store = (*DirectoryStore)(nil)

const (
	// intent begins the name of a file by which a process says which version it is about to make. While that is
	// there nobody removes that version or a later one: a process that is slow must find the name taken, and not
	// free again. What counts is the order: it says so before it looks which version is the newest, and others look
	// for it after they have made a newer one.
	intent = "making-"
	// sweepEach is how many sessions are made between two looks for expired ones, in one of 256 parts.
	sweepEach = 16
	// leftover is the age of something in new/ that its process has left behind.
	leftover = time.Hour
	// recordHeader is a byte of format, the expiry, and the two owners.
	recordHeader = 1 + 8 + 2*len(Digest{})
	recordFormat = 1
	findTries    = 100
)

// OpenDirectory makes the directory, for its owner only, unless it is there.
func OpenDirectory(root string) (*DirectoryStore, error) {
	d := &DirectoryStore{root}
	for _, dir := range []string{d.path("sessions"), d.path("owners"), d.path("new")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("bff: session directory: %w", err)
		}
	}
	d.clearLeftovers()
	return d, nil
}

func (d *DirectoryStore) path(parts ...string) string {
	return filepath.Join(append([]string{d.root}, parts...)...)
}

func (d *DirectoryStore) session(key Digest) string {
	name := key.String()
	return d.path("sessions", name[:2], name)
}

func (d *DirectoryStore) owner(owner Digest) string {
	name := owner.String()
	return d.path("owners", name[:2], name)
}

// Create implements [Store].
func (d *DirectoryStore) Create(_ context.Context, key Digest, r Record) error {
	if mathrand.IntN(sweepEach) == 0 { //nolint:gosec // spreads work; nobody gains by guessing it
		d.sweep(key, time.Now())
	}
	// The owners first: a session that could not be found by them could not be ended by them.
	for _, owner := range []Digest{r.Subject, r.SessionID} {
		if err := d.own(owner, key); err != nil {
			return failed("make", err)
		}
	}
	if err := d.put(key, r); err != nil {
		if errors.Is(err, ErrConflict) {
			return err
		}
		return failed("make", err)
	}
	return nil
}

func failed(what string, err error) error { return fmt.Errorf("bff: %s a session: %w", what, err) }

// own notes whose a session is.
func (d *DirectoryStore) own(owner, key Digest) error {
	if owner == (Digest{}) {
		return nil
	}
	for range findTries {
		if err := os.MkdirAll(d.owner(owner), 0o700); err != nil {
			return err
		}
		err := os.WriteFile(filepath.Join(d.owner(owner), key.String()), nil, 0o600) // #nosec G703 -- digests, below the operator's directory
		if err == nil {
			return syncDir(d.owner(owner))
		}
		if !errors.Is(err, fs.ErrNotExist) { // removed by somebody who found it empty
			return err
		}
	}
	return errBusy
}

var errBusy = errors.New("others change it all the time")

// put makes the directory of a session, with its first version, as a whole.
func (d *DirectoryStore) put(key Digest, r Record) error {
	made := d.path("new", rand.Text())
	if err := os.Mkdir(made, 0o700); err != nil {
		return err
	}
	err := writeFile(filepath.Join(made, version(r.Version)), encodeRecord(r), true)
	if err == nil {
		err = syncDir(made)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(d.session(key)), 0o700)
	}
	if err == nil {
		if _, there := os.Lstat(d.session(key)); there == nil {
			err = ErrConflict
		} else if err = os.Rename(made, d.session(key)); errors.Is(err, fs.ErrExist) {
			err = ErrConflict
		}
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(made))
	}
	return syncDir(filepath.Dir(d.session(key)))
}

func version(n uint64) string { return strconv.FormatUint(n, 10) }

// Find implements [Store].
func (d *DirectoryStore) Find(_ context.Context, key Digest) (Record, error) {
	for range findTries {
		newest, err := d.newest(key)
		if err != nil {
			return Record{}, err
		}
		content, err := os.ReadFile(filepath.Join(d.session(key), version(newest))) // #nosec G703 -- digests, below the operator's directory
		if errors.Is(err, fs.ErrNotExist) {
			continue // replaced or ended meanwhile
		}
		if err != nil {
			return Record{}, failed("read", err)
		}
		r, err := decodeRecord(content)
		r.Version = newest
		return r, err
	}
	return Record{}, failed("read", errBusy)
}

// newest is the version that counts.
func (d *DirectoryStore) newest(key Digest) (uint64, error) {
	entries, err := os.ReadDir(d.session(key))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, ErrNotFound
	}
	if err != nil {
		return 0, failed("read", err)
	}
	newest := uint64(0)
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 10, 64); err == nil {
			newest = max(newest, n)
		}
	}
	if newest == 0 {
		return 0, ErrNotFound // a directory whose session was removed from under it
	}
	return newest, nil
}

// Replace implements [Store].
func (d *DirectoryStore) Replace(_ context.Context, key Digest, r Record) error {
	at := d.session(key)
	saying := filepath.Join(at, intent+version(r.Version)+"-"+rand.Text())
	err := writeFile(saying, nil, false)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	if err != nil {
		return failed("replace", err)
	}
	defer func() { _ = os.Remove(saying) }() // #nosec G703 -- digests, below the operator's directory
	newest, err := d.newest(key)
	switch {
	case err != nil:
		return err
	case newest+1 != r.Version:
		return ErrConflict
	}
	made := d.path("new", rand.Text())
	if err := writeFile(made, encodeRecord(r), true); err != nil {
		return failed("replace", err)
	}
	err = os.Link(made, filepath.Join(at, version(r.Version)))
	_ = os.Remove(made) // #nosec G703 -- as above; if it stays it is a leftover
	switch {
	case errors.Is(err, fs.ErrExist):
		return ErrConflict
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotFound
	case err != nil:
		return failed("replace", err)
	}
	err = syncDir(at)
	if err == nil {
		err = d.dropOlder(at, r.Version)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound // ended, and what we made with it
	}
	if err != nil {
		return failed("replace", err)
	}
	return nil
}

// dropOlder removes versions before this one that nobody is about to make.
func (d *DirectoryStore) dropOlder(at string, newest uint64) error {
	entries, err := os.ReadDir(at)
	if err != nil {
		return err
	}
	keep := newest
	var versions []uint64
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 10, 64); err == nil {
			versions = append(versions, n)
			continue
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(e.Name(), intent), "-")
		n, err := strconv.ParseUint(text, 10, 64)
		if info, gone := e.Info(); err != nil || gone != nil {
			continue
		} else if time.Since(info.ModTime()) > leftover {
			_ = os.Remove(filepath.Join(at, e.Name())) // #nosec G703 -- digests, below the operator's directory
			continue
		}
		keep = min(keep, n)
	}
	for _, n := range versions {
		if n < keep {
			_ = os.Remove(filepath.Join(at, version(n))) // #nosec G703 -- as above; or somebody else has
		}
	}
	return nil
}

// End implements [Store].
func (d *DirectoryStore) End(ctx context.Context, key Digest) error {
	_, err := d.end(ctx, key)
	return err
}

// end moves a session out of the way, whole: a Replace that is under way then finds no place to put its version.
func (d *DirectoryStore) end(ctx context.Context, key Digest) (ended bool, err error) {
	r, _ := d.Find(ctx, key)
	aside := d.path("new", rand.Text())
	err = os.Rename(d.session(key), aside)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = errors.Join(syncDir(filepath.Dir(d.session(key))), os.RemoveAll(aside))
	}
	if err != nil {
		return false, failed("end", err)
	}
	for _, owner := range []Digest{r.Subject, r.SessionID} {
		d.disown(owner, key)
	}
	return true, nil
}

// disown forgets whose a session was. What is left behind names a session that is not there, which harms nobody.
func (d *DirectoryStore) disown(owner, key Digest) {
	if owner != (Digest{}) {
		_ = os.Remove(filepath.Join(d.owner(owner), key.String()))
		_ = os.Remove(d.owner(owner)) // if that was the last
	}
}

// EndSession implements [Store].
func (d *DirectoryStore) EndSession(ctx context.Context, sessionID Digest) (int, error) {
	return d.endOf(ctx, sessionID)
}

// EndSubject implements [Store].
func (d *DirectoryStore) EndSubject(ctx context.Context, subject Digest) (int, error) {
	return d.endOf(ctx, subject)
}

func (d *DirectoryStore) endOf(ctx context.Context, owner Digest) (int, error) {
	entries, err := os.ReadDir(d.owner(owner))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, failed("find", err)
	}
	n := 0
	for _, e := range entries {
		key, ok := parseDigest(e.Name())
		if !ok {
			continue
		}
		ended, err := d.end(ctx, key)
		if err != nil {
			return n, err
		}
		if ended {
			n++
		}
		d.disown(owner, key)
	}
	return n, nil
}

func parseDigest(s string) (d Digest, ok bool) {
	n, err := hex.Decode(d[:], []byte(s[:min(len(s), 2*len(d))]))
	return d, err == nil && n == len(d) && d.String() == s
}

// sweep removes what has expired among the sessions whose names begin like this one's.
func (d *DirectoryStore) sweep(near Digest, now time.Time) {
	d.clearLeftovers()
	entries, err := os.ReadDir(filepath.Dir(d.session(near)))
	if err != nil {
		return
	}
	for _, e := range entries {
		key, ok := parseDigest(e.Name())
		if !ok {
			continue
		}
		if r, err := d.Find(context.Background(), key); err == nil && now.After(r.Expires) {
			_, _ = d.end(context.Background(), key)
		}
	}
}

// clearLeftovers removes what killed processes did not get to.
func (d *DirectoryStore) clearLeftovers() {
	entries, err := os.ReadDir(d.path("new"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > leftover {
			_ = os.RemoveAll(d.path("new", e.Name()))
		}
	}
}

func encodeRecord(r Record) []byte {
	b := make([]byte, 0, recordHeader+len(r.Data))
	b = append(b, recordFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Expires.Unix())) // #nosec G115 -- times before 1970 do not occur
	b = append(b, r.Subject[:]...)
	b = append(b, r.SessionID[:]...)
	return append(b, r.Data...)
}

func decodeRecord(b []byte) (r Record, err error) {
	if len(b) < recordHeader || b[0] != recordFormat {
		return r, failed("read", errors.New("the file is none of ours"))
	}
	r.Expires = time.Unix(int64(binary.BigEndian.Uint64(b[1:])), 0) // #nosec G115 -- see encodeRecord
	n := copy(r.Subject[:], b[9:])
	copy(r.SessionID[:], b[9+n:])
	r.Data = b[recordHeader:]
	return r, nil
}

// writeFile makes a file that was not there.
func writeFile(path string, content []byte, synced bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 G703 -- below the operator's directory
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && synced {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes new names in a directory survive a loss of power.
func syncDir(path string) error {
	if runtime.GOOS == "windows" { // cannot sync directories
		return nil
	}
	dir, err := os.Open(path) // #nosec G304 G703 -- below the operator's directory
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
