package feed

import (
	"context"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/revocation"
)

// snapshot is every live entry of the log up to seq, as subscribers get it.
type snapshot struct {
	made time.Time // before the store was read
	seq  uint64
	wire []byte
}

// snapshot returns a snapshot that is not older than a heartbeat and not behind
// what the reader has. Those who ask at about the same time, all guards of a
// fleet after a restart above all, share one: it is read and encoded once, and
// what has happened since follows it.
func (f *Feed) snapshot(ctx context.Context, has uint64) (*snapshot, error) {
	var last *snapshot
	select {
	case last = <-f.shared:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { f.shared <- last }()
	now := f.cfg.Now()
	if last != nil && now.Sub(last.made) < f.cfg.Heartbeat && last.seq >= has {
		return last, nil
	}
	live, seq, err := f.cfg.Log.Live(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("feed: live entries: %w", err)
	}
	wire, err := revocation.AppendSnapshot(nil, f.incarnation, seq, wireEntries(live))
	if err != nil {
		return nil, err
	}
	last = &snapshot{now, seq, wire}
	return last, nil
}

// forgetSnapshot lets go of a snapshot that is too old to be shared.
func (f *Feed) forgetSnapshot() {
	select {
	case last := <-f.shared:
		if last != nil && f.cfg.Now().Sub(last.made) >= f.cfg.Heartbeat {
			last = nil
		}
		f.shared <- last
	default: // somebody is making one
	}
}
