package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jetonhq/jeton/admin"
)

// The server is killed with -9 again and again while everything is sealed again
// under a new data key. Each next start opens every secret, and the last one
// finishes the work.
func TestKill_WhileSealingAgain(t *testing.T) {
	const rings, rounds = 120, 6
	binary, data := build(t), t.TempDir()
	ports := [3]string{freeAddress(t), freeAddress(t), freeAddress(t)}
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano()))) // #nosec G404 -- when to kill
	var first map[string][]byte
	var last admin.Sealing
	for round := range rounds + 1 {
		d, kill := startDev(t, binary, data, ports)
		api := &admin.Client{BaseURL: d.Manage, Token: d.AdminToken}
		secrets := map[string][]byte{}
		for i := range rings {
			ring := fmt.Sprintf("fleet%d", i)
			if round == 0 {
				if err := api.CreateRing(t.Context(), ring, ""); err != nil {
					t.Fatal(err)
				}
			}
			set, err := api.ExportRing(t.Context(), ring, "")
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			secrets[ring] = set
		}
		if first == nil {
			first = secrets
		}
		for ring, set := range secrets {
			if !bytes.Equal(set, first[ring]) {
				t.Fatalf("round %d: ring %s has other secrets", round, ring)
			}
		}
		if round < rounds {
			if _, err := api.RotateSealing(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond) // the moment of death is the input
			kill()
			continue
		}
		for deadline := time.Now().Add(time.Minute); ; {
			var err error
			if last, err = api.Sealing(t.Context()); err != nil {
				t.Fatal(err)
			}
			if i := slices.IndexFunc(last.DataKeys, func(k admin.DataKey) bool { return k.Values > 0 }); i == len(last.DataKeys)-1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("it is not finished: %+v", last)
			}
			time.Sleep(10 * time.Millisecond) // the process has nothing else to wait on
		}
		kill()
	}
	if n := len(last.DataKeys); n != rounds+1 {
		t.Errorf("%d data keys, want %d: they stay for a day", n, rounds+1)
	}
	integrity(t, filepath.Join(data, "jeton.db"))
}
