package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/internal/notes"
	"github.com/jetonhq/jeton/internal/throttle"
)

// attempts are the failures of signing in, of people and of clients, that the nodes on
// one database count together.
type attempts struct {
	people, clients *throttle.Table
}

// newAttempts makes the tables. The digests of what they count follow from a key that
// all nodes have.
func newAttempts(key network.Key) *attempts {
	table := func(use string) *throttle.Table {
		mac := hmac.New(sha256.New, key[:])
		mac.Write([]byte("attempts of " + use))
		return throttle.NewShared(0, mac.Sum(nil))
	}
	return &attempts{people: table("people"), clients: table("clients")}
}

// told is the note of a node.
type told struct{ People, Clients []byte }

// share tells the other nodes what was counted here and hears what was counted there,
// until ctx is done.
func (s *Server) share(ctx context.Context) {
	tick := time.NewTicker(notes.Every)
	defer tick.Stop()
	note := notes.New(s.store, authority.NoteAttempts, s.node)
	defer note.Close(ctx)
	for {
		select {
		case <-tick.C:
			now := s.now()
			if err := errors.Join(s.attempts.tell(ctx, note, now), s.attempts.hear(ctx, note, now)); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "nodes count failed attempts each for itself; trying again", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (a *attempts) tell(ctx context.Context, note *notes.Note, now time.Time) error {
	t := told{a.people.Report(now), a.clients.Report(now)}
	if t.People == nil && t.Clients == nil {
		return note.Tell(ctx, nil, now)
	}
	body, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return note.Tell(ctx, body, now)
}

func (a *attempts) hear(ctx context.Context, note *notes.Note, now time.Time) error {
	others, err := note.Others(ctx, now)
	if err != nil {
		return err
	}
	var people, clients [][]byte
	for _, n := range others {
		var t told
		if err := json.Unmarshal(n.Body, &t); err != nil {
			return fmt.Errorf("what node %s tells: %w", n.Node, err)
		}
		people, clients = append(people, t.People), append(clients, t.Clients)
	}
	return errors.Join(a.people.Hear(people...), a.clients.Hear(clients...))
}

var heardDesc = prometheus.NewDesc("jeton_throttle_heard_keys", "Keys under which other nodes have counted failed attempts.", nil, nil)

// listening is what this node hears of the others.
type listening struct{ s *Server }

// Describe implements prometheus.Collector.
func (listening) Describe(descs chan<- *prometheus.Desc) { descs <- heardDesc }

// Collect implements prometheus.Collector.
func (l listening) Collect(metrics chan<- prometheus.Metric) {
	n := 0
	if a := l.s.attempts; a != nil {
		n = a.people.Heard() + a.clients.Heard()
	}
	metrics <- prometheus.MustNewConstMetric(heardDesc, prometheus.GaugeValue, float64(n))
}
