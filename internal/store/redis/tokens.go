package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// The row of a token is, under <prefix>{<jti>},
//
//	1 | gid 16 | digest 16 | expiry 8 (ms, big endian)
//
// and expires with it. A counted token has its row in the records: what says how
// often it was used must not be lost.
const (
	rowVersion = 1
	rowSize    = 1 + 16 + 16 + 8
)

func (s *Store) rowKey(id secret.ID) string { return s.cfg.Prefix + "{" + id.String() + "}" }

func encodeRow(v authority.Token) string {
	b := make([]byte, 0, rowSize)
	b = append(b, rowVersion)
	b = append(b, v.GrantID[:]...)
	b = append(b, v.Digest[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(v.ExpiresAt.UnixMilli())) // #nosec G115 -- after 1970
	return rueidis.BinaryString(b)
}

var errRow = errors.New("a row is not one of this program")

func decodeRow(id secret.ID, row string) (authority.Token, error) {
	if len(row) != rowSize || row[0] != rowVersion {
		return authority.Token{}, errRow
	}
	v := authority.Token{ID: id, Elsewhere: true}
	copy(v.GrantID[:], row[1:])
	copy(v.Digest[:], row[17:])
	v.ExpiresAt = time.UnixMilli(int64(binary.BigEndian.Uint64([]byte(row[33:])))).UTC() // #nosec G115 -- as encoded
	return v, nil
}

var errTaken = fmt.Errorf("registry: token id: %w", authority.ErrConflict)

// write stores the rows, or none of them. ErrConflict: the id of one is taken.
func (s *Store) write(ctx context.Context, now time.Time, tokens ...authority.Token) error {
	taken := false
	var written []authority.Token
	err := s.call(ctx, "write rows", func(ctx context.Context) error {
		cmds := make(rueidis.Commands, len(tokens))
		for i, v := range tokens {
			cmds[i] = s.client.B().Set().Key(s.rowKey(v.ID)).Value(encodeRow(v)).Nx().Px(s.lives(v.ExpiresAt, now)).Build()
		}
		var failed error
		for i, answer := range s.client.DoMulti(ctx, cmds...) {
			switch err := answer.Error(); {
			case err == nil:
				written = append(written, tokens[i])
			case rueidis.IsRedisNil(err):
				taken = true
			default:
				failed = err
			}
		}
		return failed
	})
	if err == nil && taken {
		err = errTaken
	}
	if err != nil && len(written) > 0 {
		s.remove(ctx, written...)
	}
	return err
}

// remove takes back rows of tokens that nobody was given. What cannot be removed
// now expires.
func (s *Store) remove(ctx context.Context, tokens ...authority.Token) {
	_ = s.call(context.WithoutCancel(ctx), "remove rows", func(ctx context.Context) error {
		cmds := make(rueidis.Commands, len(tokens))
		for i, v := range tokens {
			cmds[i] = s.client.B().Del().Key(s.rowKey(v.ID)).Build()
		}
		var failed error
		for _, answer := range s.client.DoMulti(ctx, cmds...) {
			failed = errors.Join(failed, answer.Error())
		}
		return failed
	})
}

// rows reads the rows that are here.
func (s *Store) rows(ctx context.Context, ids []secret.ID) ([]authority.Token, error) {
	var found []authority.Token
	err := s.call(ctx, "read rows", func(ctx context.Context) error {
		keys := make([]string, len(ids))
		for i, id := range ids {
			keys[i] = s.rowKey(id)
		}
		answers, err := s.read(ctx, keys)
		if err != nil {
			return err
		}
		for i, id := range ids {
			row, err := answers[i].ToString()
			if rueidis.IsRedisNil(err) {
				continue
			}
			if err != nil {
				return err
			}
			v, err := decodeRow(id, row)
			if err != nil {
				return err
			}
			found = append(found, v)
		}
		return nil
	})
	return found, err
}

// read is one GET for one key, and for more as few commands as the slots allow.
func (s *Store) read(ctx context.Context, keys []string) ([]rueidis.RedisMessage, error) {
	if len(keys) == 1 {
		m, err := s.client.Do(ctx, s.client.B().Get().Key(keys[0]).Build()).ToMessage()
		if rueidis.IsRedisNil(err) {
			err = nil
		}
		return []rueidis.RedisMessage{m}, err
	}
	found, err := rueidis.MGet(s.client, ctx, keys)
	answers := make([]rueidis.RedisMessage, len(keys))
	for i, key := range keys {
		answers[i] = found[key]
	}
	return answers, err
}

// register writes the rows of tokens and then has the records commit. Whatever goes
// wrong there, nobody was given the tokens.
func (s *Store) register(ctx context.Context, now time.Time, commit func() error, tokens ...authority.Token) error {
	if err := s.write(ctx, now, tokens...); err != nil {
		return err
	}
	if err := commit(); err != nil {
		s.remove(ctx, tokens...)
		return err
	}
	return nil
}

// registerOnce is register for a call that the records let happen once. A row that
// is there already, and is the same, was written by the same call before, whose
// answer was lost: what became of it, the records say.
func (s *Store) registerOnce(ctx context.Context, now time.Time, commit func() error, v authority.Token) error {
	err := s.register(ctx, now, commit, v)
	if !errors.Is(err, errTaken) {
		return err
	}
	here, readErr := s.rows(ctx, []secret.ID{v.ID})
	if readErr != nil {
		return readErr
	}
	if len(here) == 1 && encodeRow(here[0]) == encodeRow(v) {
		return commit()
	}
	return err
}

// Issue implements authority.GrantStore. When the records have nothing to write,
// they are only asked, after the row was written, whether the grant lives: so that
// it does not after a Revoke that had answered before.
func (s *Store) Issue(ctx context.Context, i authority.Issue) error {
	commit := func() error { return s.Records.Issue(ctx, i) }
	if i.Token.Uses != nil {
		return commit()
	}
	i.Token.Elsewhere = true
	return s.register(ctx, i.Now, commit, i.Token)
}

// Redeem implements authority.GrantStore.
func (s *Store) Redeem(ctx context.Context, r authority.Redemption) error {
	commit := func() error { return s.Records.Redeem(ctx, r) }
	if r.Token.Uses != nil {
		return commit()
	}
	r.Token.GrantID, r.Token.Elsewhere = r.Grant.ID, true
	return s.registerOnce(ctx, r.Now, commit, r.Token)
}

// Rotate implements authority.GrantStore.
func (s *Store) Rotate(ctx context.Context, r authority.Rotation) error {
	commit := func() error { return s.Records.Rotate(ctx, r) }
	if r.Token.Uses != nil {
		return commit()
	}
	r.Token.GrantID, r.Token.Elsewhere = r.Grant, true
	return s.register(ctx, r.Now, commit, r.Token)
}

// IssueBatch implements authority.MintStore.
func (s *Store) IssueBatch(ctx context.Context, b authority.MintBatch) error {
	b.Tokens = slices.Clone(b.Tokens)
	var here []authority.Token
	for i := range b.Tokens {
		if v := &b.Tokens[i]; v.Uses == nil {
			v.Elsewhere = true
			here = append(here, *v)
		}
	}
	commit := func() error { return s.Records.IssueBatch(ctx, b) }
	if len(here) == 0 {
		return commit()
	}
	return s.register(ctx, b.Now, commit, here...)
}

// Tokens implements authority.Registry. What is not here may be counted, or older
// than this registry: the records know.
func (s *Store) Tokens(ctx context.Context, ids []secret.ID) (map[secret.ID]authority.TokenState, error) {
	if len(ids) == 0 {
		return map[secret.ID]authority.TokenState{}, nil
	}
	here, err := s.rows(ctx, ids)
	if err != nil {
		return nil, err
	}
	states, err := s.Records.Vouch(ctx, here)
	if err != nil {
		return nil, err
	}
	for id, state := range states {
		state.Elsewhere = false // where the row is means nothing to the caller
		states[id] = state
	}
	missing := slices.DeleteFunc(slices.Clone(ids), func(id secret.ID) bool {
		return slices.ContainsFunc(here, func(v authority.Token) bool { return v.ID == id })
	})
	if len(missing) == 0 {
		return states, nil
	}
	others, err := s.Records.Tokens(ctx, missing)
	if err != nil {
		return nil, err
	}
	for id, state := range others {
		states[id] = state
	}
	return states, nil
}

// Consume implements authority.Registry. The records count; a token that they do
// not have may be one that is not counted.
func (s *Store) Consume(ctx context.Context, uses []authority.Use, now time.Time) ([]error, error) {
	outcomes, err := s.Records.Consume(ctx, uses, now)
	if err != nil {
		return nil, err
	}
	var unknown []secret.ID
	for i, outcome := range outcomes {
		if errors.Is(outcome, authority.ErrNotFound) {
			unknown = append(unknown, uses[i].Token)
		}
	}
	states, err := s.Tokens(ctx, unknown)
	if err != nil {
		return nil, err
	}
	for i, u := range uses {
		state, known := states[u.Token]
		switch {
		case !known, !errors.Is(outcomes[i], authority.ErrNotFound), state.Uses != nil,
			!secret.Equal(state.Digest[:], u.Digest[:]), !now.Before(state.ExpiresAt):
		case state.GrantEnded:
			outcomes[i] = authority.ErrEnded
		default:
			outcomes[i] = authority.ErrConflict
		}
	}
	return outcomes, nil
}

// Revoke implements authority.RevocationStore. The row of a token stays until it
// expires: the log says that the token is dead, and a row that comes back after a
// failover says nothing else.
func (s *Store) Revoke(ctx context.Context, r authority.Revocation) ([]authority.LogEntry, error) {
	if r.Token != nil {
		here, err := s.rows(ctx, []secret.ID{r.Token.ID})
		if err != nil {
			return nil, err
		}
		if len(here) == 1 && r.Now.Before(here[0].ExpiresAt) {
			r.Token = &here[0]
		}
	}
	return s.Records.Revoke(ctx, r)
}
