package revocation

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"
	"time"
)

func randomIDs(n int) []ID {
	ids := make([]ID, n)
	for i := range ids {
		rand.Read(ids[i][:])
	}
	return ids
}

func filled(ids []ID, kind Kind) *View {
	v := ready(ViewConfig{})
	until := time.Now().Unix() + 3600
	for i, id := range ids {
		err := v.ApplyDelta("life1", []Entry{{Seq: uint64(i + 1), Kind: kind, ID: id, Until: until, Reason: "logout"}})
		if err != nil {
			panic(err)
		}
	}
	return v
}

func BenchmarkRevoked(b *testing.B) {
	const n = 1 << 20
	ids, others := randomIDs(n), randomIDs(n)
	v := filled(ids, Token)
	empty := ready(ViewConfig{})
	for _, bench := range []struct {
		name string
		view *View
		ids  []ID
	}{{"hit/1e6", v, ids}, {"miss/1e6", v, others}, {"miss/0", empty, others}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				id := bench.ids[(i*7919)&(n-1)]
				bench.view.Revoked(id, id, id)
			}
		})
	}
	b.Run("miss/1e6/parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				id := others[(i*7919)&(n-1)]
				v.Revoked(id, id, id)
			}
		})
	})
	b.Run("epoch", func(b *testing.B) {
		epoch := v.Epoch()
		for b.Loop() {
			if v.Epoch() != epoch {
				b.Fatal()
			}
		}
	})
}

func BenchmarkStaleAt(b *testing.B) {
	v := ready(ViewConfig{})
	now := time.Now()
	for b.Loop() {
		v.StaleAt(now, 2*time.Second)
	}
}

func BenchmarkApplyDelta(b *testing.B) {
	b.ReportAllocs()
	v := ready(ViewConfig{})
	ids := randomIDs(1 << 20)
	until := time.Now().Unix() + 3600
	var seq uint64
	entry := make([]Entry, 1)
	for b.Loop() {
		entry[0] = Entry{Seq: seq + 1, Kind: Token, ID: ids[seq&(1<<20-1)], Until: until, Reason: "logout"}
		if err := v.ApplyDelta("life1", entry); err != nil {
			b.Fatal(err)
		}
		seq++
	}
}

// BenchmarkSnapshot is per 300,000 entries: a fleet's worth at 1,000 revocations/s and 5 minutes.
func BenchmarkSnapshot(b *testing.B) {
	const n = 300_000
	log := make([]Entry, n)
	for i, id := range randomIDs(n) {
		log[i] = Entry{Seq: uint64(i + 1), Kind: Token, ID: id, Reason: "logout", Until: time.Now().Unix() + 300}
	}
	stream, err := AppendSnapshot(nil, "life1", n, log)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(stream)))
		for b.Loop() {
			if _, err := AppendSnapshot(stream[:0], "life1", n, log); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(stream)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := messages(bytes.NewReader(stream)); err != io.EOF {
				b.Fatal(err)
			}
		}
	})
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			must(b, ready(ViewConfig{}).ApplySnapshot("life1", n, log))
		}
	})
}
