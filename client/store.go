package client

import (
	"context"
	"strings"
	"sync"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/oauth"
)

// SignIn is what a program has after a person signed in: the refresh token, and the access token that was got
// last, if any.
type SignIn struct {
	RefreshToken Secret
	Token        Token
	Key          *jwk.Key // that both are bound to (DPoP); nil for none
}

// token is the access token with the key that it is bound to.
func (s SignIn) token() Token {
	t := s.Token
	if strings.EqualFold(t.Type, oauth.DPoP) {
		t.key = s.Key
	}
	return t
}

// Store keeps one sign-in for [Refresh]. Every method may be called from many goroutines at once.
type Store interface {
	// Load returns what is stored; the zero SignIn if nothing is. It does not wait for an Update.
	Load(ctx context.Context) (SignIn, error)

	// Update calls change with what is stored and stores what it returns. No other Update or Save of this
	// store runs meanwhile, in no process. If change fails, its error is returned and nothing is stored.
	// After a success the new sign-in survives a crash of the program; after a failure or a crash, the old
	// one or the new one is stored, never a mixture and never nothing.
	Update(ctx context.Context, change func(SignIn) (SignIn, error)) error

	// Save stores a new sign-in in place of whatever is there. The zero SignIn signs out.
	Save(ctx context.Context, s SignIn) error
}

// MemoryStore is a [Store] that ends with the program. It is made by [NewMemoryStore].
type MemoryStore struct {
	turn chan struct{} // holds one element while an Update runs

	mu   sync.Mutex // guards held
	held SignIn
}

var _ Store = (*MemoryStore)(nil)

// NewMemoryStore returns a store that holds s.
func NewMemoryStore(s SignIn) *MemoryStore {
	return &MemoryStore{turn: make(chan struct{}, 1), held: s}
}

// Load implements [Store]. It does not fail.
func (m *MemoryStore) Load(context.Context) (SignIn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held, nil
}

// Update implements [Store].
func (m *MemoryStore) Update(ctx context.Context, change func(SignIn) (SignIn, error)) error {
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-m.turn }()
	m.mu.Lock()
	held := m.held
	m.mu.Unlock()
	next, err := change(held)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = next
	return nil
}

// Save implements [Store].
func (m *MemoryStore) Save(ctx context.Context, s SignIn) error {
	return m.Update(ctx, func(SignIn) (SignIn, error) { return s, nil })
}
