package accounts

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/throttle"
	"github.com/jetonhq/jeton/internal/traces"
)

// cost is what one password hash costs.
type cost struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// Cost of new hashes (OWASP password storage, 2026). Raising it raises every
// stored hash at the owner's next sign-in.
const (
	memoryNow  = 19456 // KiB
	timeNow    = 2
	threadsNow = 1
	saltSize   = 16
	tagSize    = 32
)

// A stored hash that costs more is refused: it could take the process down.
const (
	memoryMost  = 1 << 18 // KiB
	timeMost    = 16
	threadsMost = 16
)

// below reports whether c is cheaper for a guesser than want in any respect.
func (c cost) below(want cost) bool {
	return c.Memory < want.Memory || c.Time < want.Time
}

// phc is a parsed Argon2id hash: $argon2id$v=19$m=…,t=…,p=…$salt$tag.
type phc struct {
	cost
	salt, tag []byte
}

func (h phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Time, h.Threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.tag))
}

var errHash = errors.New("password hash is not an Argon2id string (PHC format) within limits")

// parseHash reads the PHC string format. It accepts only what String writes.
func parseHash(s string) (phc, error) {
	var h phc
	var version int
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" {
		return phc{}, errHash
	}
	if _, err := fmt.Sscanf(fields[2]+" "+fields[3], "v=%d m=%d,t=%d,p=%d", &version, &h.Memory, &h.Time, &h.Threads); err != nil {
		return phc{}, errHash
	}
	var saltErr, tagErr error
	h.salt, saltErr = base64.RawStdEncoding.Strict().DecodeString(fields[4])
	h.tag, tagErr = base64.RawStdEncoding.Strict().DecodeString(fields[5])
	switch {
	case saltErr != nil || tagErr != nil || version != argon2.Version || h.String() != s,
		len(h.salt) < 8 || len(h.salt) > 64 || len(h.tag) < 16 || len(h.tag) > 64,
		h.Time < 1 || h.Time > timeMost || h.Threads < 1 || h.Threads > threadsMost,
		h.Memory < 8*uint32(h.Threads) || h.Memory > memoryMost:
		return phc{}, errHash
	}
	return h, nil
}

// hasher computes a few password hashes at a time. One takes 19 MiB and tens of
// milliseconds; without a bound, a flood of sign-ins would take all memory.
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
	now     cost
	nobody  phc // checked when there is no hash to check, so that the work is the same
	derive  func(password string, h phc) []byte
}

func newHasher(concurrency, queue int) *hasher {
	if concurrency == 0 {
		concurrency = runtime.GOMAXPROCS(0)
	}
	if queue == 0 {
		queue = 64
	}
	now := cost{Memory: memoryNow, Time: timeNow, Threads: threadsNow}
	return &hasher{
		slots:  make(chan struct{}, concurrency),
		queue:  int64(queue),
		now:    now,
		nobody: phc{cost: now, salt: secret.Bytes(saltSize), tag: secret.Bytes(tagSize)},
		derive: argon,
	}
}

func argon(password string, h phc) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.Time, h.Memory, h.Threads, uint32(len(h.tag))) // #nosec G115 -- at most 64, see parseHash
}

// run waits for a place and derives. A full queue is a *ThrottledError.
func (k *hasher) run(ctx context.Context, password string, h phc) ([]byte, error) {
	select {
	case k.slots <- struct{}{}:
	default:
		if k.waiting.Add(1) > k.queue {
			k.waiting.Add(-1)
			return nil, &throttle.Error{RetryAfter: time.Second}
		}
		select {
		case k.slots <- struct{}{}:
			k.waiting.Add(-1)
		case <-ctx.Done():
			k.waiting.Add(-1)
			return nil, fmt.Errorf("wait to hash a password: %w", context.Cause(ctx))
		}
	}
	defer func() { <-k.slots }()
	_, span := traces.Begin(ctx, "password", "argon2id")
	defer span.End(nil)
	return k.derive(password, h), nil
}

// hash makes the stored form of a normalised password.
func (k *hasher) hash(ctx context.Context, password string) (string, error) {
	h := phc{cost: k.now, salt: secret.Bytes(saltSize), tag: make([]byte, tagSize)}
	tag, err := k.run(ctx, password, h)
	if err != nil {
		return "", err
	}
	h.tag = tag
	return h.String(), nil
}

// verify compares a normalised password with a stored hash. With no stored hash
// it does the same work and answers false. weak says that the hash should be
// made again at today's cost.
func (k *hasher) verify(ctx context.Context, password, stored string) (ok, weak bool, err error) {
	h, real := k.nobody, stored != ""
	if real {
		if h, err = parseHash(stored); err != nil {
			return false, false, err
		}
	}
	tag, err := k.run(ctx, password, h)
	if err != nil {
		return false, false, err
	}
	return secret.Equal(tag, h.tag) && real, h.below(k.now) || len(h.tag) < tagSize, nil
}
