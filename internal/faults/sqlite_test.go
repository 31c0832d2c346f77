package faults_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/faultproxy"
)

// A node with the embedded store that is killed and started again, behind a way
// on which requests and answers get lost.
func TestSQLite_Killed(t *testing.T) {
	r := dice(t.Name())
	a := start(t, "sqlite:"+filepath.Join(t.TempDir(), "jeton.db"))
	n := a.nodes[0]
	l := a.crowd()
	l.progress("refresh yes", 20)
	for end := time.Now().Add(lasting(5 * time.Second)); time.Now().Before(end) && !t.Failed(); {
		switch r.IntN(3) {
		case 0:
			n.kill()
			n.start()
			n.wantReady()
		case 1:
			n.front.Trip(1+r.IntN(20), faultproxy.Lost(r.IntN(2)))
		case 2:
			n.front.Cut()
		}
		l.progress("refresh yes", 5+r.IntN(30))
	}
	l.wantPower(map[string]int{"refresh yes": 100, "refresh unknown": 1, "histories": 10, "histories of uses": 2, "consume yes": 10, "honest": 10})
	l.wantNothingLost()
}
