package jwt

import (
	"fmt"

	"github.com/jetonhq/jeton/jwk"
)

// DefaultMaxBytes is how long a token may be unless configured otherwise.
const DefaultMaxBytes = 16 << 10

// Unverified is a token that was taken apart and not checked: anybody may have
// written it. It is for showing to people, and for finding out which verifier a
// token is for; nothing in it may decide anything.
type Unverified struct {
	Header Header
	Claims Claims

	RawHeader []byte // the JSON of the header
	Signature []byte

	signed string // what the signature covers
}

// Parse takes a token apart under the same strict rules as a [Verifier], without
// checking its signature or any claim. maxBytes limits its length; zero means
// [DefaultMaxBytes]. Errors have the reason [ReasonMalformed].
func Parse(token string, maxBytes int) (*Unverified, error) {
	if maxBytes == 0 {
		maxBytes = DefaultMaxBytes
	}
	if len(token) > maxBytes {
		return nil, malformed("token is too long")
	}
	first, second, ok := split(token)
	if !ok {
		return nil, malformed("not three parts")
	}
	header, okHeader := appendDecoded(nil, token[:first])
	payload, okPayload := appendDecoded(nil, token[first+1:second])
	sig, okSig := appendDecoded(nil, token[second+1:])
	if !okHeader || !okPayload || !okSig {
		return nil, malformed("not base64url")
	}
	u := &Unverified{RawHeader: header, Signature: sig, signed: token[:second]}
	var err error
	if u.Header, err = parseHeader(string(header)); err != nil {
		return nil, err
	}
	if err := u.Claims.read(string(payload), nil); err != nil {
		return nil, err
	}
	return u, nil
}

// CheckSignature checks the signature with one key, whose algorithm must be the
// one in the header. It says nothing about the claims.
func (u *Unverified) CheckSignature(key *jwk.Key) error {
	if key.Algorithm() != u.Header.Algorithm {
		return &Error{Reason: ReasonWrongAlgorithm, Detail: "header and key differ"}
	}
	if err := key.Verify([]byte(u.signed), u.Signature); err != nil {
		return &Error{Reason: ReasonBadSignature, Err: fmt.Errorf("checking with one key: %w", err)}
	}
	return nil
}
