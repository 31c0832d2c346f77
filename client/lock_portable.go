//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package client

import (
	"context"
	"time"
)

// lock takes the lock as a file, where the system has no lock that ends with its process.
func lock(ctx context.Context, path string) (release func(), err error) {
	return lockFile{beat: 2 * time.Second, stale: 10 * time.Second}.acquire(ctx, path)
}
