package faults_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/faultproxy"
	"github.com/jetonhq/jeton/internal/installed"
	"github.com/jetonhq/jeton/internal/pgtest"
)

// behind is a proxy in front of a database, and the database's URL through it.
func behind(t *testing.T, database string) (*faultproxy.Proxy, string) {
	t.Helper()
	u, err := url.Parse(database)
	must(t, err)
	p := faultproxy.New(t, u.Host)
	u.Host = p.Address
	return p, u.String()
}

// postgres is a server of its own, which tests may kill.
func postgres(t *testing.T) *pgtest.Server {
	t.Helper()
	db, err := pgtest.Start()
	if errors.Is(err, pgtest.ErrNotInstalled) {
		installed.Missing(t, err.Error())
	}
	must(t, err)
	t.Cleanup(db.Stop)
	return db
}

// One of two nodes is killed and started again, in turn, while callers ask both.
func TestPostgres_NodeKilled(t *testing.T) {
	r := dice(t.Name())
	database := pgtest.Database(t)
	a := start(t, database, database)
	l := a.crowd()
	l.progress("refresh yes", 20)
	for end := time.Now().Add(lasting(4 * time.Second)); time.Now().Before(end) && !t.Failed(); {
		n := a.nodes[r.IntN(2)]
		n.kill()
		l.progress("refresh yes", 5) // at the other one
		n.start()
		n.wantReady()
		l.progress("refresh yes", 5+r.IntN(20))
	}
	l.wantPower(map[string]int{"refresh yes": 60, "refresh unknown": 1, "histories": 8, "histories of uses": 2, "consume yes": 10, "honest": 10})
	l.wantNothingLost()
}

// PostgreSQL is killed and started again: no node is ready meanwhile, and all
// nodes go on by themselves.
func TestPostgres_Killed(t *testing.T) {
	db := postgres(t)
	a := start(t, db.URL("postgres"), db.URL("postgres"))
	l := a.crowd()
	l.progress("refresh yes", 20)
	for end := time.Now().Add(lasting(time.Second)); time.Now().Before(end) && !t.Failed(); {
		db.Kill()
		for _, n := range a.nodes {
			n.wantNotReady()
		}
		must(t, db.Resume())
		for _, n := range a.nodes {
			n.wantReady()
		}
		l.progress("refresh yes", 40)
	}
	l.wantPower(map[string]int{"refresh yes": 60, "refresh unknown": 1, "histories": 8, "honest": 10})
	l.wantNothingLost()
}

// The ways between the nodes and PostgreSQL, and between callers and nodes, are
// cut, slow and half open, and lose requests and answers.
func TestPostgres_Ways(t *testing.T) {
	r := dice(t.Name())
	database := pgtest.Database(t)
	one, first := behind(t, database)
	two, second := behind(t, database)
	a := start(t, first, second)
	l := a.crowd()
	l.progress("refresh yes", 20)
	for end := time.Now().Add(lasting(6 * time.Second)); time.Now().Before(end) && !t.Failed(); {
		which := r.IntN(2)
		n, way := a.nodes[which], []*faultproxy.Proxy{one, two}[which]
		switch r.IntN(9) {
		case 0, 1, 2:
			way.Trip(1+r.IntN(30), faultproxy.Answer)
		case 3:
			way.Trip(1+r.IntN(30), faultproxy.Request)
		case 4:
			way.Cut()
		case 5:
			way.Delay(time.Duration(r.IntN(60)) * time.Millisecond)
		case 6:
			way.Stall()
			n.wantNotReady()
		case 7:
			way.Refuse()
			n.wantNotReady()
		case 8:
			n.front.Trip(1+r.IntN(10), faultproxy.Lost(r.IntN(2)))
		}
		l.progress("refresh yes", 3+r.IntN(5)) // at the other one, if this one hangs
		way.Reset()
		n.wantReady()
	}
	l.wantPower(map[string]int{"refresh yes": 60, "refresh unknown": 1, "histories": 8, "histories of uses": 2, "honest": 10})
	l.wantNothingLost()
}
