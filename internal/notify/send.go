package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

const (
	laneBatch  = 8    // attempts at a time in one lane
	maxBusy    = 32   // lanes served at a time
	laneWindow = 4096 // lanes looked at in one round
	finishFor  = 5 * time.Second
	lastMoment = 3 * time.Second // that attempts under way have when the service stops
	maxError   = 256             // bytes of an error in the log of deliveries
)

// send starts attempts until ctx is done.
func (s *Service) send(ctx context.Context) {
	for ctx.Err() == nil {
		next, err := s.round(ctx)
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.ErrorContext(ctx, "deliveries not read; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-time.After(min(max(next.Sub(s.cfg.Now()), 0), s.cfg.Poll)):
		}
	}
}

// round serves the lanes that have something due, and returns when the next has.
func (s *Service) round(ctx context.Context) (next time.Time, err error) {
	now := s.cfg.Now()
	next = now.Add(s.cfg.Poll)
	lanes, err := s.cfg.Store.Lanes(ctx, laneWindow)
	if err != nil {
		return next, err
	}
	for _, lane := range lanes {
		if lane.Due.After(now) {
			return earlier(next, lane.Due), nil
		}
		limit, opens := s.circuits.allow(lane.Name, now)
		if limit == 0 {
			next = earlier(next, opens)
			continue
		}
		if !s.begin(lane.Name) {
			continue
		}
		s.work.Go(func() {
			defer s.end(lane.Name)
			s.serve(ctx, lane.Name, limit)
		})
	}
	return next, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// begin takes a lane, unless somebody has it or enough are taken. The end of
// one wakes the loop.
func (s *Service) begin(lane string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[lane] || len(s.busy) >= maxBusy {
		return false
	}
	s.busy[lane] = true
	return true
}

func (s *Service) end(lane string) {
	s.mu.Lock()
	delete(s.busy, lane)
	s.mu.Unlock()
	s.Wake()
}

// serve makes one attempt for each of up to limit deliveries of a lane.
func (s *Service) serve(ctx context.Context, lane string, limit int) {
	now := s.cfg.Now()
	claim, lease := secret.NewID(now), now.Add(3*s.cfg.Timeout)
	ds, err := s.cfg.Store.ClaimDeliveries(ctx, lane, claim, now, lease, limit)
	if err != nil {
		if ctx.Err() == nil {
			s.cfg.Logger.ErrorContext(ctx, "deliveries not claimed; trying again", "lane", lane, "error", err)
			rest(ctx, restAfter)
		}
		return
	}
	var attempts sync.WaitGroup
	for _, d := range ds {
		attempts.Go(func() { s.attempt(ctx, d) })
	}
	attempts.Wait()
}

// attempt sends d once and writes down how it ended.
func (s *Service) attempt(ctx context.Context, d authority.Delivery) {
	if s.cfg.Now().After(d.GiveUpAt) {
		s.finish(ctx, d, Permanent(errors.New("not sent in time")))
		return
	}
	within, span := s.cfg.Traces.Work(ctx, "deliver", d.Channel)
	err := s.sendOnce(within, d)
	span.End(err)
	switch {
	case err == nil || isPermanent(err):
		s.circuits.close(d.Lane)
	case ctx.Err() != nil:
		s.giveBack(ctx, d)
		return
	default:
		s.circuits.fail(d.Lane, s.cfg.Now())
	}
	s.finish(ctx, d, err)
}

func (s *Service) sendOnce(ctx context.Context, d authority.Delivery) error {
	channel, ok := s.channels[d.Channel]
	if !ok {
		return fmt.Errorf("the channel %s is not configured", d.Channel)
	}
	if len(d.Sealed) > 0 {
		body, err := s.cfg.Sealer.Open(d.Sealed, authority.DeliveryPlace(d.ID))
		if err != nil {
			return errors.New("its sealed body cannot be opened")
		}
		d.Body, d.Sealed = body, nil
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		rest(within, lastMoment)
		cancel()
	})
	defer stop()
	return channel.Send(within, d)
}

// finish writes down how an attempt ended. If that fails for longer than the
// claim holds, the delivery is sent again.
func (s *Service) finish(ctx context.Context, d authority.Delivery, err error) {
	now := s.cfg.Now()
	a := authority.Attempt{ID: d.ID, Claim: d.Claim, State: authority.DeliveryDelivered, DoneAt: now, Keep: now.Add(s.cfg.Keep)}
	outcome := Delivered
	var e *authority.Event
	if err != nil {
		a.Error = errorText(err)
		next := now.Add(max(pause(d.Attempts), min(retryAfter(err), maxPause)))
		if isPermanent(err) || next.After(d.GiveUpAt) {
			outcome, a.State = Failed, authority.DeliveryFailed
			e = s.failed(d, a.Error)
		} else {
			outcome = Retried
			a.State, a.NextAt, a.DoneAt, a.Keep = authority.DeliveryPending, next, time.Time{}, time.Time{}
		}
	}
	level := s.cfg.Logger.DebugContext
	if outcome == Failed {
		level = s.cfg.Logger.WarnContext
	}
	level(ctx, "delivery attempted", "outcome", string(outcome), "channel", d.Channel, "target", d.Target, "delivery", d.ID.String(),
		"attempt", d.Attempts, "error", a.Error)
	s.cfg.Observe(d.Channel, outcome)
	s.write(ctx, a, e)
}

// failed is the event of a delivery that is given up. What could not tell of a
// failure is no news: otherwise receivers that are gone would keep each other busy.
func (s *Service) failed(d authority.Delivery, text string) *authority.Event {
	if d.EventType == authority.EventDeliveryFailed {
		return nil
	}
	return &authority.Event{
		ID: secret.NewID(s.cfg.Now()), Type: authority.EventDeliveryFailed, Actor: authority.System, Reason: text, Data: about(d),
	}
}

// giveBack ends a claim whose attempt was cut off because the service stops.
func (s *Service) giveBack(ctx context.Context, d authority.Delivery) {
	s.write(ctx, authority.Attempt{
		ID: d.ID, Claim: d.Claim, State: authority.DeliveryPending, NextAt: s.cfg.Now(), Error: "cut off by a shutdown",
	}, nil)
}

func (s *Service) write(ctx context.Context, a authority.Attempt, e *authority.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishFor)
	defer cancel()
	err := s.cfg.Store.FinishDelivery(ctx, a, e)
	for errors.Is(err, authority.ErrBusy) && ctx.Err() == nil {
		rest(ctx, restAfter/10)
		err = s.cfg.Store.FinishDelivery(ctx, a, e)
	}
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "the end of a delivery's attempt was not written; it may be sent again", "delivery", a.ID.String(), "error", err)
	}
}

// errorText is an error as the log of deliveries keeps it.
func errorText(err error) string {
	text := strings.ToValidUTF8(err.Error(), "")
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "")
	}
	return text
}
