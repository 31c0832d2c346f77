package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

const (
	fileVersion = 1
	maxFile     = 1 << 20 // bytes
)

// FileStore is a [Store] in a file that any number of processes on one machine may share. It is made by
// [NewFileStore].
//
// The file can be read and written by its owner only, and one that others can read is refused. It is replaced
// as a whole: written beside, synced, renamed. Beside it is a lock, <path>.lock, which stays there. On Unix
// the system drops the lock of a process that ends in any way; elsewhere the lock is a file that its owner
// keeps touching, and one that has not been touched for ten seconds is broken.
//
// The file belongs on a local disk. Where locks do not work, as on some network file systems, two processes
// that refresh at once get the same successor; but a slow one may come with a token that others have replaced
// twice, and that ends the sign-in.
type FileStore struct {
	path string
	turn chan struct{} // holds one element while this process has or waits for the lock
	lock func(ctx context.Context, path string) (release func(), err error)
}

var _ Store = (*FileStore)(nil)

// storedSignIn is the file: one JSON object. Members are added, never given another meaning, within a version.
type storedSignIn struct {
	Version      int       `json:"version"`
	RefreshToken string    `json:"refresh_token"`
	AccessToken  string    `json:"access_token,omitempty"`
	TokenType    string    `json:"token_type,omitempty"`
	Scope        string    `json:"scope,omitempty"`
	Obtained     time.Time `json:"obtained,omitzero"`
	Expires      time.Time `json:"expires,omitzero"`

	Key json.RawMessage `json:"key,omitempty"` // a private JWK
}

// NewFileStore returns the store in the file at path. Neither the file nor its directory needs to exist; the
// directory is made, for its owner only, when something is stored.
func NewFileStore(path string) *FileStore {
	return &FileStore{path: path, turn: make(chan struct{}, 1), lock: lock}
}

// Load implements [Store].
func (f *FileStore) Load(context.Context) (SignIn, error) {
	s, _, err := f.read()
	return s, err
}

// Update implements [Store].
func (f *FileStore) Update(ctx context.Context, change func(SignIn) (SignIn, error)) error {
	return f.locked(ctx, func() error {
		// What was known before the lock says nothing: another process may have refreshed meanwhile.
		held, before, err := f.read()
		if err != nil {
			return err
		}
		next, err := change(held)
		if err != nil {
			return err
		}
		after, err := encode(next)
		if err != nil || bytes.Equal(before, after) {
			return err
		}
		return f.write(after)
	})
}

// Save implements [Store]. It also replaces a file that cannot be read.
func (f *FileStore) Save(ctx context.Context, s SignIn) error {
	return f.locked(ctx, func() error {
		content, err := encode(s)
		if err != nil {
			return err
		}
		return f.write(content)
	})
}

// locked runs do while no other process and no other goroutine does.
func (f *FileStore) locked(ctx context.Context, do func() error) error {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.turn }()
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return fmt.Errorf("sign-in file: %w", err)
	}
	release, err := f.lock(ctx, f.path+".lock")
	if err != nil {
		return fmt.Errorf("lock the sign-in file: %w", err)
	}
	defer release()
	return do()
}

// read returns what is stored, and the bytes it is stored as; neither if there is no file.
func (f *FileStore) read() (SignIn, []byte, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return SignIn{}, nil, nil
	}
	if err != nil {
		return SignIn{}, nil, fmt.Errorf("sign-in file: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return SignIn{}, nil, fmt.Errorf("sign-in file: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return SignIn{}, nil, fmt.Errorf("sign-in file %s: others than its owner may use it (mode %04o, want 0600)", f.path, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return SignIn{}, nil, fmt.Errorf("sign-in file: %w", err)
	}
	s, err := decode(content)
	if err != nil {
		return SignIn{}, nil, fmt.Errorf("sign-in file %s: %w", f.path, err)
	}
	return s, content, nil
}

// write replaces the file. The caller holds the lock, so there is one temporary file at most, and a crash
// leaves one at most.
func (f *FileStore) write(content []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the sign-in file: %w", err)
		}
	}()
	beside := f.path + ".new"
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// O_EXCL: a file of ours with our mode, not one that somebody has put there.
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	if err := rename(beside, f.path); err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	return syncDir(filepath.Dir(f.path))
}

// rename waits a little for readers where an open file cannot be replaced.
func rename(from, to string) error {
	err := os.Rename(from, to)
	for range 20 {
		if err == nil || runtime.GOOS != "windows" {
			break
		}
		time.Sleep(10 * time.Millisecond)
		err = os.Rename(from, to)
	}
	return err
}

// syncDir makes a rename survive a loss of power. The new refresh token must not be used before: the
// authority would then take the old one, come back from the disk, for stolen.
func syncDir(path string) error {
	if runtime.GOOS == "windows" { // cannot sync directories
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func encode(s SignIn) ([]byte, error) {
	var key json.RawMessage
	if s.Key != nil {
		var err error
		if key, err = s.Key.MarshalPrivate(); err != nil {
			return nil, fmt.Errorf("the key of the sign-in cannot be stored: %w", err)
		}
	}
	content, err := json.MarshalIndent(storedSignIn{
		Version:      fileVersion,
		RefreshToken: s.RefreshToken.Reveal(),
		AccessToken:  s.Token.AccessToken.Reveal(),
		TokenType:    s.Token.Type,
		Scope:        s.Token.Scope,
		Obtained:     s.Token.obtained.UTC(),
		Expires:      s.Token.Expiry.UTC(),
		Key:          key,
	}, "", "  ")
	return append(content, '\n'), err
}

func decode(content []byte) (SignIn, error) {
	var stored storedSignIn
	if json.Unmarshal(content, &stored) != nil {
		return SignIn{}, errors.New("not a sign-in file") // a JSON error may quote it
	}
	if stored.Version != fileVersion {
		return SignIn{}, fmt.Errorf("version %d, want %d", stored.Version, fileVersion)
	}
	var key *jwk.Key
	if stored.Key != nil {
		var err error
		if key, err = jwk.ParsePrivate(stored.Key); err != nil {
			return SignIn{}, errors.New("its key cannot be read")
		}
	}
	return SignIn{
		RefreshToken: NewSecret(stored.RefreshToken), Key: key,
		Token: Token{
			AccessToken: NewSecret(stored.AccessToken), Type: stored.TokenType, Scope: stored.Scope,
			Expiry: stored.Expires, obtained: stored.Obtained,
		},
	}, nil
}
