package bff

import (
	"context"
	"sync"
	"time"
)

// defaultSessions bounds a MemoryStore that was not told otherwise: about 500 MB of large sessions.
const defaultSessions = 100_000

// MemoryStore is a [Store] that ends with the program. When it is full nobody can sign in; nobody is signed out to
// make room. It is made by [NewMemoryStore].
type MemoryStore struct {
	limit int

	mu      sync.Mutex // guards the fields below
	records map[Digest]Record
	owners  map[Digest]map[Digest]bool // keys of records by Subject and by SessionID, which have no digest in common
	sweep   int                        // size at which expired ones are looked for
}

var _ Store = (*MemoryStore)(nil)

// firstSweep is the fewest records among which expired ones are looked for.
const firstSweep = 1024

// NewMemoryStore returns a store for so many sessions; 0 means 100,000.
func NewMemoryStore(limit int) *MemoryStore {
	if limit <= 0 {
		limit = defaultSessions
	}
	return &MemoryStore{limit: limit, records: make(map[Digest]Record), owners: make(map[Digest]map[Digest]bool), sweep: min(firstSweep, limit)}
}

// Create implements [Store].
func (m *MemoryStore) Create(_ context.Context, key Digest, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.records[key]; there {
		return ErrConflict
	}
	if len(m.records) >= m.sweep {
		m.dropExpired(time.Now())
	}
	if len(m.records) >= m.limit {
		return ErrFull
	}
	m.records[key] = r
	for _, owner := range []Digest{r.Subject, r.SessionID} {
		if owner == (Digest{}) {
			continue
		}
		if m.owners[owner] == nil {
			m.owners[owner] = make(map[Digest]bool)
		}
		m.owners[owner][key] = true
	}
	return nil
}

// dropExpired makes room. The caller holds mu.
func (m *MemoryStore) dropExpired(now time.Time) {
	for key, r := range m.records {
		if !now.Before(r.Expires) {
			m.drop(key)
		}
	}
	m.sweep = min(max(2*len(m.records), firstSweep), m.limit)
}

// drop removes a record. The caller holds mu.
func (m *MemoryStore) drop(key Digest) {
	r := m.records[key]
	delete(m.records, key)
	for _, owner := range []Digest{r.Subject, r.SessionID} {
		delete(m.owners[owner], key)
		if len(m.owners[owner]) == 0 {
			delete(m.owners, owner)
		}
	}
}

// Find implements [Store].
func (m *MemoryStore) Find(_ context.Context, key Digest) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, there := m.records[key]
	if !there {
		return Record{}, ErrNotFound
	}
	return r, nil
}

// Replace implements [Store].
func (m *MemoryStore) Replace(_ context.Context, key Digest, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, there := m.records[key]
	switch {
	case !there:
		return ErrNotFound
	case old.Version+1 != r.Version:
		return ErrConflict
	}
	r.Subject, r.SessionID = old.Subject, old.SessionID
	m.records[key] = r
	return nil
}

// End implements [Store].
func (m *MemoryStore) End(_ context.Context, key Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
	return nil
}

// EndSession implements [Store].
func (m *MemoryStore) EndSession(_ context.Context, sessionID Digest) (int, error) {
	return m.endOf(sessionID), nil
}

// EndSubject implements [Store].
func (m *MemoryStore) EndSubject(_ context.Context, subject Digest) (int, error) {
	return m.endOf(subject), nil
}

func (m *MemoryStore) endOf(owner Digest) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	ended := len(m.owners[owner])
	for key := range m.owners[owner] {
		m.drop(key)
	}
	return ended
}
