package jwt

import (
	"context"
	"errors"
	"slices"

	"github.com/jetonhq/jeton/jwk"
)

const (
	maxCandidates = 4        // keys tried for one kid
	maxScratch    = 64 << 10 // larger buffers are not kept
)

// Token is a token whose signature and claims have been checked.
type Token struct {
	Header Header
	Claims Claims

	// Key is the key that verified the token. For a DPoP proof it is the key the
	// proof is about.
	Key *jwk.Key

	one [1]string // room for an audience of one
}

// Verify checks a token: form, type, algorithm, key, signature, issuer,
// audience, required claims, times, and the rules of the profile, in this order,
// and stops at the first that fails. The error is an [*Error]; see [ReasonOf].
// The context bounds a wait for keys, nothing else waits.
func (v *Verifier) Verify(ctx context.Context, token string) (*Token, error) {
	if len(token) > v.config.MaxBytes {
		return nil, malformed("token is too long")
	}
	first, second, ok := split(token)
	if !ok {
		return nil, malformed("not three parts")
	}
	scratch := v.scratch.Get().(*[]byte)
	defer v.release(scratch)
	buf := slices.Grow((*scratch)[:0], 2*len(token))
	*scratch = buf

	header, known := v.headers.find(token[:first])
	if !known {
		raw, ok := appendDecoded(buf, token[:first])
		if !ok {
			return nil, malformed("not base64url")
		}
		var err error
		if header, err = parseHeader(string(raw)); err != nil {
			return nil, err
		}
		if err := v.checkHeader(&header); err != nil {
			return nil, err
		}
	}

	// The buffer holds what was signed, then the signature, then the payload.
	buf = append(buf, token[:second]...)
	message := buf
	buf, ok = appendDecoded(buf, token[second+1:])
	sig := buf[len(message):]
	if !ok {
		return nil, malformed("not base64url")
	}
	start := len(buf)
	if buf, ok = appendDecoded(buf, token[first+1:second]); !ok {
		return nil, malformed("not base64url")
	}

	key, err := v.checkSignature(ctx, &header, message, sig)
	if err != nil {
		return nil, err
	}
	if !known && !v.config.Profile.embedded {
		// Only headers under a good signature are remembered, so that strangers
		// cannot fill the cache.
		v.headers.add(token[:first], header)
	}
	t := &Token{Header: header, Key: key}
	if err := t.Claims.read(string(buf[start:]), t.one[:0:1]); err != nil {
		return nil, err
	}
	if err := v.checkClaims(&t.Claims); err != nil {
		return nil, err
	}
	return t, nil
}

func (v *Verifier) release(scratch *[]byte) {
	if cap(*scratch) <= maxScratch {
		v.scratch.Put(scratch)
	}
}

func (v *Verifier) checkHeader(h *Header) error {
	if err := v.checkType(h); err != nil {
		return err
	}
	return v.checkAlgorithm(h)
}

func (v *Verifier) checkType(h *Header) error {
	if !v.config.Profile.accepts(h.Type) {
		return &Error{Reason: ReasonWrongType}
	}
	return nil
}

func (v *Verifier) checkAlgorithm(h *Header) error {
	if !slices.Contains(v.config.Algorithms, h.Algorithm) {
		return &Error{Reason: ReasonWrongAlgorithm, Detail: "not on the list"}
	}
	return nil
}

// checkSignature answers the key that verifies the signature.
func (v *Verifier) checkSignature(ctx context.Context, h *Header, message, sig []byte) (*jwk.Key, error) {
	keys, err := v.candidates(ctx, h)
	if err != nil {
		return nil, err
	}
	// Without a kid there must be exactly one key that fits. The key inside a
	// DPoP proof is the only one there is.
	anonymous := h.KeyID == "" && !v.config.Profile.embedded
	fits := 0
	var last *jwk.Key
	for _, key := range keys {
		if key = v.fit(key, h.Algorithm); key == nil {
			continue
		}
		if fits++; anonymous && fits > 1 {
			return nil, &Error{Reason: ReasonUnknownKey, Detail: "no kid, and several keys fit"}
		}
		last = key
		if anonymous {
			continue // another one may fit too
		}
		if key.Verify(message, sig) == nil {
			return key, nil
		}
		if fits == maxCandidates {
			break
		}
	}
	switch {
	case last == nil:
		return nil, &Error{Reason: ReasonWrongAlgorithm, Detail: "not the algorithm of the key"}
	case anonymous && last.Verify(message, sig) == nil:
		return last, nil
	}
	return nil, &Error{Reason: ReasonBadSignature, Err: jwk.ErrSignature}
}

func (v *Verifier) candidates(ctx context.Context, h *Header) ([]*jwk.Key, error) {
	if v.config.Profile.embedded {
		key, err := jwk.Parse([]byte(h.jwk))
		if err != nil {
			return nil, &Error{Reason: ReasonMalformed, Detail: "jwk in the header", Err: err}
		}
		return []*jwk.Key{key}, nil
	}
	keys, err := v.config.Keys.Keys(ctx, h.KeyID)
	switch {
	case err == nil && len(keys) > 0:
		return keys, nil
	case err == nil || errors.Is(err, jwk.ErrUnknownKey):
		return nil, &Error{Reason: ReasonUnknownKey, Err: err}
	}
	return nil, &Error{Reason: ReasonKeysUnavailable, Err: err}
}

// fit answers the key if alg is its algorithm. A key that states none takes the
// first on the list that fits it: the verifier decides, not the token.
func (v *Verifier) fit(key *jwk.Key, alg jwk.Algorithm) *jwk.Key {
	pinned, err := key.Pin(alg)
	if err != nil {
		return nil
	}
	if pinned == key || v.config.Profile.embedded {
		return pinned
	}
	for _, other := range v.config.Algorithms {
		if _, err := key.Pin(other); err == nil {
			if other != alg {
				return nil
			}
			break
		}
	}
	return pinned
}
