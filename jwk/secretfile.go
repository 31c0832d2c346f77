package jwk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultFileEvery = time.Second
	unknownFileEvery = 50 * time.Millisecond
)

// SecretFileConfig says which file of shared secrets to follow.
type SecretFileConfig struct {
	// Path of a JWK set of secrets; see [WriteSecretFile]. One that everybody on
	// the machine can read or write is refused.
	Path string

	// Every is how often to look whether the file was replaced. Zero means one
	// second. A kid that is not known makes it look at once.
	Every time.Duration

	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// OnError is told when the file has changed and cannot be used; the secrets
	// that were read before stay in use. It may be nil.
	OnError func(error)
}

// SecretFile is a set of shared secrets in a file that is followed: when the
// file is replaced, the next look finds it, without a restart. It holds HMAC
// keys only. Nobody waits for a look but the one who makes it.
type SecretFile struct {
	config SecretFileConfig
	held   atomic.Pointer[Set]
	looked atomic.Int64 // when it was last looked at, Unix nanoseconds

	mu   sync.Mutex // held during a look
	file os.FileInfo
}

var _ Source = (*SecretFile)(nil)

// NewSecretFile reads the file. It must be there and usable: a program should
// not start with secrets that it cannot have.
func NewSecretFile(c SecretFileConfig) (*SecretFile, error) {
	c.Every = orDefault(c.Every, defaultFileEvery)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	f := &SecretFile{config: c}
	if err := f.look(); err != nil {
		return nil, err
	}
	f.looked.Store(c.Now().UnixNano())
	return f, nil
}

// Keys implements [Source]. A token without a kid has no candidates: secrets are
// found by their id alone.
func (f *SecretFile) Keys(_ context.Context, kid string) ([]*Key, error) {
	f.lookAfter(f.config.Every)
	if kid == "" {
		return nil, ErrUnknownKey
	}
	keys := f.held.Load().candidates(kid)
	if len(keys) == 0 && f.lookAfter(min(unknownFileEvery, f.config.Every)) {
		keys = f.held.Load().candidates(kid)
	}
	if len(keys) == 0 {
		return nil, ErrUnknownKey
	}
	return keys, nil
}

// Held is the set in use.
func (f *SecretFile) Held() *Set { return f.held.Load() }

// lookAfter looks at the file unless it, or somebody else, has done so less than
// gap ago, and reports whether it did.
func (f *SecretFile) lookAfter(gap time.Duration) bool {
	now, last := f.config.Now().UnixNano(), f.looked.Load()
	if since := now - last; since >= 0 && since < int64(gap) || !f.looked.CompareAndSwap(last, now) {
		return false
	}
	if err := f.look(); err != nil {
		f.config.OnError(err)
	}
	return true
}

// look reads the file if it is another one than before.
func (f *SecretFile) look() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.config.Path)
	if err != nil {
		return fmt.Errorf("jwk: secret file: %w", err)
	}
	if f.file != nil && os.SameFile(info, f.file) && info.ModTime().Equal(f.file.ModTime()) && info.Size() == f.file.Size() {
		return nil
	}
	set, info, err := readSecretFile(f.config.Path)
	if err != nil {
		return err
	}
	f.file = info
	f.held.Store(set)
	return nil
}

func readSecretFile(path string) (*Set, os.FileInfo, error) {
	file, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, nil, fmt.Errorf("jwk: secret file: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("jwk: secret file: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		return nil, nil, errors.New("jwk: secret file: others can read or write it; take that away (chmod o=)")
	}
	content, err := io.ReadAll(io.LimitReader(file, maxSetBytes+1))
	if err != nil {
		return nil, nil, fmt.Errorf("jwk: secret file: %w", err)
	}
	set, err := ParseSecrets(content)
	if err != nil {
		return nil, nil, fmt.Errorf("jwk: secret file: %w", err)
	}
	return set, info, nil
}
