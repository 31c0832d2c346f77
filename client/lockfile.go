package client

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"
)

// lockFile is a lock made of a file's existence. Its owner touches the file every beat; a file that has not
// been touched for the time stale belongs to a process that is gone.
type lockFile struct{ beat, stale time.Duration }

// sighting is a lock file of somebody else, as it looks, and since when it has looked like that. The time is
// our own clock's: the file's may be another machine's.
type sighting struct {
	owner   string
	touched time.Time
	since   time.Time
}

func (l lockFile) acquire(ctx context.Context, path string) (release func(), err error) {
	owner := rand.Text()
	var seen sighting
	for tries := 0; ; tries++ {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_, err = file.WriteString(owner)
			if err := errors.Join(err, file.Close()); err != nil {
				return nil, errors.Join(err, os.Remove(path))
			}
			return l.hold(path, owner), nil
		}
		// A file that is being deleted gives a permission error on Windows.
		if !errors.Is(err, fs.ErrExist) && (!errors.Is(err, fs.ErrPermission) || tries > 100) {
			return nil, err
		}
		if now, ok := look(path); ok {
			if now.owner != seen.owner || !now.touched.Equal(seen.touched) {
				seen = now
			} else if now.since.Sub(seen.since) > l.stale {
				breakLock(path, owner, seen.owner)
				seen = sighting{}
				continue
			}
		}
		if err := waitTurn(ctx, tries); err != nil {
			return nil, err
		}
	}
}

// hold keeps touching the file until it is released.
func (l lockFile) hold(path, owner string) (release func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(l.beat)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case now := <-ticker.C:
				_ = os.Chtimes(path, now, now) // a missed beat is made up for by the next
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(stop)
		<-stopped
		if now, ok := look(path); ok && now.owner == owner { // not one that another process took when we slept
			_ = os.Remove(path)
		}
	})
}

func look(path string) (sighting, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return sighting{}, false
	}
	owner, err := os.ReadFile(path)
	if err != nil {
		return sighting{}, false
	}
	return sighting{string(owner), info.ModTime(), time.Now()}, true
}

// breakLock takes a lock file out of the way. Only one process succeeds in renaming it; if what it has got is
// not the file that was stale, another one was faster, and the file is put back.
func breakLock(path, self, stale string) {
	aside := path + "." + self
	if os.Rename(path, aside) != nil {
		return
	}
	if got, err := os.ReadFile(aside); err == nil && string(got) != stale {
		_ = os.Link(aside, path)
	}
	_ = os.Remove(aside)
}

// waitTurn pauses before the next try at a lock: from one millisecond, up to 25.
func waitTurn(ctx context.Context, tries int) error {
	pause := time.NewTimer(spread(min(time.Millisecond<<min(tries, 5), 25*time.Millisecond), 0.5))
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
