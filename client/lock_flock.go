//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package client

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// lock takes the advisory lock on the file at path. The file is never removed: whoever removed it would leave
// others waiting for a lock that nobody sees any more.
func lock(ctx context.Context, path string) (release func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for tries := 0; ; tries++ {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil // closing the only descriptor unlocks
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, &os.PathError{Op: "flock", Path: path, Err: err}
		}
		// Not a blocking call: that one cannot be given up when ctx ends.
		if err := waitTurn(ctx, tries); err != nil {
			_ = file.Close()
			return nil, err
		}
	}
}
