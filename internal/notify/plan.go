package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// planBatch bounds the events of one commit.
const planBatch = 64

// Most events concern nobody. Going past them is written down only so often:
// planning them again comes to the same.
const (
	saveAfter = 1024 // events
	saveEvery = 10 * time.Second
)

// planner is a place in the log of events.
type planner struct {
	known  bool
	cursor uint64    // as stored
	at     uint64    // events up to here have been looked at
	saved  time.Time // when cursor was stored, or read
}

// plan follows the log of events until ctx is done.
func (s *Service) plan(ctx context.Context) {
	var p planner
	for ctx.Err() == nil {
		if err := s.planNext(ctx, &p); err != nil && ctx.Err() == nil {
			s.cfg.Logger.ErrorContext(ctx, "events not planned; trying again", "error", err)
			p.known = false
			rest(ctx, restAfter)
		}
	}
}

// planNext plans what follows p, or waits for it.
func (s *Service) planNext(ctx context.Context, p *planner) error {
	if !p.known {
		cursor, err := s.cfg.Store.OutboxCursor(ctx)
		if err != nil {
			return err
		}
		*p = planner{known: true, cursor: cursor, at: cursor, saved: s.cfg.Now()}
	}
	events, err := s.cfg.Store.EventLog(ctx, p.at, planBatch)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		if p.at > p.cursor && s.cfg.Now().Sub(p.saved) >= saveEvery {
			return s.enqueue(ctx, p, p.at, nil)
		}
		return s.awaitEvents(ctx, p.at)
	}
	var ds []authority.Delivery
	for _, e := range events {
		if ds, err = s.deliveries(ctx, ds, e.Event); err != nil {
			return err
		}
	}
	last := events[len(events)-1].Seq
	if len(ds) == 0 && last-p.cursor < saveAfter {
		p.at = last
		return nil
	}
	return s.enqueue(ctx, p, last, ds)
}

// awaitEvents waits for the log to grow. Other nodes' events may not wake this one.
func (s *Service) awaitEvents(ctx context.Context, after uint64) error {
	brief, cancel := context.WithTimeout(ctx, s.cfg.Poll)
	defer cancel()
	err := s.cfg.Store.WaitEvents(brief, after)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// enqueue moves the cursor over what was planned. If another node has planned
// it, this one goes on from where that came to.
func (s *Service) enqueue(ctx context.Context, p *planner, to uint64, ds []authority.Delivery) error {
	err := s.cfg.Store.Enqueue(ctx, p.cursor, to, ds)
	if errors.Is(err, authority.ErrConflict) {
		p.known = false
		return nil
	}
	if err != nil {
		return err
	}
	p.cursor, p.at, p.saved = to, to, s.cfg.Now()
	if len(ds) > 0 {
		s.Wake()
	}
	return nil
}

// deliveries appends what every channel wants sent about e.
func (s *Service) deliveries(ctx context.Context, ds []authority.Delivery, e authority.Event) ([]authority.Delivery, error) {
	for _, c := range s.cfg.Channels {
		messages, err := c.Plan(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("notify: plan %s about %s %s: %w", c.Name(), e.Type, e.ID, err)
		}
		for _, m := range messages {
			if len(m.Body) > maxBody {
				s.cfg.Logger.ErrorContext(ctx, "message not sent: it is too long", "channel", c.Name(), "target", m.Target, "event", e.ID.String())
				continue
			}
			ds = append(ds, s.delivery(c.Name(), m, e))
		}
	}
	return ds, nil
}

func (s *Service) delivery(channel string, m Message, e authority.Event) authority.Delivery {
	now := s.cfg.Now()
	d := authority.Delivery{
		ID: secret.NewID(now), Channel: channel, Target: m.Target, Lane: channel + ":" + cmp.Or(m.Lane, m.Target),
		EventID: e.ID, EventType: e.Type, Body: m.Body, State: authority.DeliveryPending,
		NextAt: now, GiveUpAt: now.Add(cmp.Or(m.Within, s.cfg.GiveUp)), CreatedAt: now,
	}
	if m.Secret {
		d.Body, d.Sealed = nil, s.cfg.Sealer.Seal(m.Body, authority.DeliveryPlace(d.ID))
	}
	return d
}
