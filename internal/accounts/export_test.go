package accounts

import "sync/atomic"

// CountHashes counts the password hashes computed from now on, and the bytes
// of memory they take, in KiB.
func (s *Service) CountHashes() (hashes, memory *atomic.Int64) {
	hashes, memory = new(atomic.Int64), new(atomic.Int64)
	derive := s.hashes.derive
	s.hashes.derive = func(password string, h phc) []byte {
		hashes.Add(1)
		memory.Add(int64(h.Memory) * int64(h.Time))
		return derive(password, h)
	}
	return hashes, memory
}

// BeforeNextHash runs f before the next password hash; f may hash as well.
func (s *Service) BeforeNextHash(f func()) {
	derive := s.hashes.derive
	var done atomic.Bool
	s.hashes.derive = func(password string, h phc) []byte {
		if done.CompareAndSwap(false, true) {
			f()
		}
		return derive(password, h)
	}
}

// Cheap makes hashes cost next to nothing, for tests about something else.
func (s *Service) Cheap() {
	s.hashes.now = cost{Memory: 8, Time: 1, Threads: 1}
	s.hashes.nobody.cost = s.hashes.now
}
