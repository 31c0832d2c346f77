package faults_test

import (
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/faultproxy"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/redistest"
)

// The Redis that keeps the registry is killed and started again, and the way to it
// is cut and loses answers. It keeps what it has answered on disk, so that nothing
// answered is lost.
func TestRedis(t *testing.T) {
	r := dice(t.Name())
	server := redistest.Start(t, "appendonly yes", "appendfsync always")
	way := faultproxy.New(t, server.Address)
	database := pgtest.Database(t)
	a := plan{stores: []string{database, database}, redis: "redis://" + way.Address}.start(t)
	l := a.crowd()
	l.progress("refresh yes", 20)
	for round, end := 0, time.Now().Add(lasting(4*time.Second)); (round < 2 || time.Now().Before(end)) && !t.Failed(); round++ {
		switch r.IntN(3) * min(round, 1) { // at least one of the first kind
		case 0:
			server.Kill()
			for _, n := range a.nodes {
				n.wantNotReady()
			}
			must(t, server.Resume())
		case 1:
			way.Cut()
		case 2:
			way.Trip(1+r.IntN(30), faultproxy.Answer)
		}
		for _, n := range a.nodes {
			n.wantReady()
		}
		l.progress("refresh yes", 10)
		way.Heal()
	}
	l.wantPower(map[string]int{"refresh yes": 40, "histories": 5, "histories of uses": 2, "honest": 10})
	l.wantNothingLost()
}
