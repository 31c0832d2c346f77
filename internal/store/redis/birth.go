package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/jetonhq/jeton/internal/authority"
)

// A ticket that is lost would let through a second time what it was there to
// refuse. So each bucket of tickets has a mark beside it, on the same slot, that
// says since when the present process of Redis has served the bucket: its "birth".
// What a ticket could have forbidden before its bucket's birth, nobody knows.
//
// The mark names the process by its run id. It is made new when it is missing
// (data were flushed, or a server came back empty) and when another process serves
// (a server was restarted on an older copy of the data, or a replica took over
// that may not have had everything).
const (
	buckets = 64

	birthLib = `
local function birth(key, now)
  local process = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local mark = redis.call('GET', key)
  if mark then
    local at, by = string.match(mark, '^(%d+) (%x+)$')
    if by == process then return at, 0 end
  end
  redis.call('SET', key, now .. ' ' .. process)
  return now, 1
end
`
)

// markScript answers with a bucket's birth. KEYS: the mark. ARGV: now.
var markScript = rueidis.NewLuaScriptNoSha(birthLib + `return {birth(KEYS[1], ARGV[1])}`)

func (s *Store) bucket(n int) string { return fmt.Sprintf("%s{ticket-%02d}", s.cfg.Prefix, n) }

func (s *Store) markKey(n int) string { return s.bucket(n) + "born" }

var _ authority.Forgetful = (*Store)(nil)

// births gives every bucket that has none its birth, and returns the latest.
func (s *Store) births(ctx context.Context, now time.Time) (latest time.Time, err error) {
	err = s.call(ctx, "births", func(ctx context.Context) error {
		calls := make([]rueidis.LuaExec, buckets)
		for n := range calls {
			calls[n] = rueidis.LuaExec{Keys: []string{s.markKey(n)}, Args: []string{millis(now)}}
		}
		for _, answer := range markScript.ExecMulti(ctx, s.client, calls...) {
			values, err := answer.ToArray()
			if err != nil {
				return err
			}
			at, err := values[0].ToString()
			if err != nil {
				return err
			}
			ms, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				return err
			}
			if born := time.UnixMilli(ms); born.After(latest) {
				latest = born
			}
		}
		return nil
	})
	return latest, err
}

// reborn gives all buckets their births at once, so that what has to be refused for
// a while after a loss is not spread over time.
func (s *Store) reborn(ctx context.Context, now time.Time) {
	s.cfg.Logger.WarnContext(ctx, "Redis was restarted or has lost data: proofs made before now are refused, and tokens it does not know any more are unknown")
	_, _ = s.births(context.WithoutCancel(ctx), now)
}

// LostBefore implements authority.Forgetful.
func (s *Store) LostBefore(ctx context.Context, now time.Time) (time.Time, error) {
	return s.births(ctx, now)
}
