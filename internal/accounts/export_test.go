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

// BeforeHash runs f before every password hash.
func (s *Service) BeforeHash(f func()) {
	derive := s.hashes.derive
	s.hashes.derive = func(password string, h phc) []byte {
		f()
		return derive(password, h)
	}
}

// Cheap makes hashes cost next to nothing, for tests about something else.
func (s *Service) Cheap() {
	s.hashes.now = cost{Memory: 8, Time: 1, Threads: 1}
	s.hashes.nobody.cost = s.hashes.now
}
