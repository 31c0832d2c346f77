package redis

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/jetonhq/jeton/internal/authority"
)

// A ticket is <expiry in ms>:<value>. It is over when the caller's clock says so;
// that Redis expires it is only the broom.
const ticketLib = `
local function live(v, now)
  return v and tonumber(string.match(v, '^(%d+):')) > tonumber(now)
end
`

// What scripts answer.
const (
	ticketDone = iota
	ticketGone
	ticketOther
	ticketUnsure // there may have been one that was lost
)

var (
	// KEYS: the mark of the bucket, the ticket. ARGV: now, since, the ticket, its life.
	createScript = birthLib + ticketLib + `
local born, new = birth(KEYS[1], ARGV[1])
if tonumber(ARGV[2]) > 0 and tonumber(born) > tonumber(ARGV[2]) then return {3, new} end
if live(redis.call('GET', KEYS[2]), ARGV[1]) then return {2, new} end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
return {0, new}`
	createTicket = rueidis.NewLuaScript(createScript)

	// KEYS: the ticket. ARGV: now, the old value, the ticket, its life.
	swapTicket = rueidis.NewLuaScript(ticketLib + `
local v = redis.call('GET', KEYS[1])
if not live(v, ARGV[1]) then return 1 end
if string.sub(v, string.find(v, ':', 1, true) + 1) ~= ARGV[2] then return 2 end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 0`)

	// KEYS: the ticket. ARGV: now.
	takeTicket = rueidis.NewLuaScript(ticketLib + `
local v = redis.call('GET', KEYS[1])
if not live(v, ARGV[1]) then return nil end
redis.call('DEL', KEYS[1])
return v`)
)

var errTicketBounds = errors.New("ticket key or value is out of bounds")

func (s *Store) ticketKey(kind authority.TicketKind, key string) (mark, ticket string) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(string(kind) + ":" + key))
	bucket := int(h.Sum32() % buckets)
	return s.markKey(bucket), s.bucket(bucket) + string(kind) + ":" + key
}

// CreateTicket implements authority.TicketStore.
func (s *Store) CreateTicket(ctx context.Context, v authority.Ticket, now time.Time) error {
	if !ticketFits(v) {
		return errTicketBounds
	}
	mark, key := s.ticketKey(v.Kind, v.Key)
	since := int64(0)
	if !v.Since.IsZero() {
		since = v.Since.UnixMilli()
	}
	args := []string{millis(now), strconv.FormatInt(since, 10), encodeTicket(v), s.lifeText(v, now)}
	var outcome, born int64
	err := s.call(ctx, "create ticket", func(ctx context.Context) error {
		answer, err := s.create(ctx, []string{mark, key}, args)
		if err == nil {
			outcome, born = answer[0], answer[1]
		}
		return err
	})
	if err != nil {
		return err
	}
	if born == 1 {
		s.reborn(ctx, now)
	}
	switch outcome {
	case ticketOther:
		return fmt.Errorf("create ticket: %w", authority.ErrConflict)
	case ticketUnsure:
		return fmt.Errorf("create ticket: Redis has lost what it knew, and may have known of this one: %w", authority.ErrBusy)
	}
	return nil
}

// create runs the script, and where replicas must have its outcome waits for them.
func (s *Store) create(ctx context.Context, keys, args []string) (answer []int64, err error) {
	if s.cfg.Replicas == 0 {
		return createTicket.Exec(ctx, s.client, keys, args).AsIntSlice()
	}
	err = s.client.Dedicated(func(c rueidis.DedicatedClient) error {
		answer, err = c.Do(ctx, c.B().Eval().Script(createScript).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()).AsIntSlice()
		if err != nil || answer[0] != ticketDone {
			return err
		}
		have, err := c.Do(ctx, c.B().Wait().Numreplicas(int64(s.cfg.Replicas)).Timeout((patience / 2).Milliseconds()).Build()).AsInt64()
		if err == nil && have < int64(s.cfg.Replicas) {
			err = fmt.Errorf("%d replicas have the ticket, want %d", have, s.cfg.Replicas)
		}
		return err
	})
	return answer, err
}

// Ticket implements authority.TicketStore.
func (s *Store) Ticket(ctx context.Context, kind authority.TicketKind, key string, now time.Time) (authority.Ticket, error) {
	_, at := s.ticketKey(kind, key)
	return s.ticket(ctx, "read ticket", kind, key, now, func(ctx context.Context) rueidis.RedisResult {
		return s.client.Do(ctx, s.client.B().Get().Key(at).Build())
	})
}

// TakeTicket implements authority.TicketStore.
func (s *Store) TakeTicket(ctx context.Context, kind authority.TicketKind, key string, now time.Time) (authority.Ticket, error) {
	_, at := s.ticketKey(kind, key)
	return s.ticket(ctx, "take ticket", kind, key, now, func(ctx context.Context) rueidis.RedisResult {
		return takeTicket.Exec(ctx, s.client, []string{at}, []string{millis(now)})
	})
}

func (s *Store) ticket(ctx context.Context, what string, kind authority.TicketKind, key string, now time.Time, ask func(context.Context) rueidis.RedisResult) (authority.Ticket, error) {
	var v authority.Ticket
	err := s.call(ctx, what, func(ctx context.Context) error {
		text, err := ask(ctx).ToString()
		if rueidis.IsRedisNil(err) {
			return nil
		}
		if err == nil {
			v, err = decodeTicket(kind, key, text)
		}
		return err
	})
	if err == nil && !now.Before(v.ExpiresAt) {
		return authority.Ticket{}, fmt.Errorf("%s: %w", what, authority.ErrNotFound)
	}
	return v, err
}

// SwapTicket implements authority.TicketStore.
func (s *Store) SwapTicket(ctx context.Context, v authority.Ticket, old []byte, now time.Time) error {
	if !ticketFits(v) {
		return errTicketBounds
	}
	_, key := s.ticketKey(v.Kind, v.Key)
	args := []string{millis(now), string(old), encodeTicket(v), s.lifeText(v, now)}
	var outcome int64
	err := s.call(ctx, "swap ticket", func(ctx context.Context) (err error) {
		outcome, err = swapTicket.Exec(ctx, s.client, []string{key}, args).AsInt64()
		return err
	})
	switch {
	case err != nil:
		return err
	case outcome == ticketGone:
		return fmt.Errorf("swap ticket: %w", authority.ErrNotFound)
	case outcome == ticketOther:
		return fmt.Errorf("swap ticket: %w", authority.ErrConflict)
	}
	return nil
}

func ticketFits(v authority.Ticket) bool {
	return v.Kind != "" && v.Key != "" && len(v.Key) <= authority.MaxTicketKey && len(v.Value) <= authority.MaxTicketValue
}

func encodeTicket(v authority.Ticket) string { return millis(v.ExpiresAt) + ":" + string(v.Value) }

func decodeTicket(kind authority.TicketKind, key, text string) (authority.Ticket, error) {
	expires, value, _ := strings.Cut(text, ":")
	ms, err := strconv.ParseInt(expires, 10, 64)
	if err != nil {
		return authority.Ticket{}, errors.New("a ticket is not one of this program")
	}
	return authority.Ticket{Kind: kind, Key: key, Value: []byte(value), ExpiresAt: time.UnixMilli(ms).UTC()}, nil
}

func (s *Store) lifeText(v authority.Ticket, now time.Time) string {
	return strconv.FormatInt(s.lives(v.ExpiresAt, now).Milliseconds(), 10)
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
