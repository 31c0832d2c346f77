package jwk

import "errors"

// Sentinels of this package. Errors that carry more context wrap one of them.
var (
	// ErrSignature says that a signature does not verify with the key.
	ErrSignature = errors.New("jwk: signature does not verify")

	// ErrAlgorithm says that an algorithm is unknown, or that it does not fit
	// the key it was asked of.
	ErrAlgorithm = errors.New("jwk: algorithm does not fit the key")

	// ErrPrivateKey says that private or secret members stand where only a
	// public key may be.
	ErrPrivateKey = errors.New("jwk: private key material in a public place")

	// ErrNoPrivateKey says that the operation needs a private key and the Key
	// has only the public part.
	ErrNoPrivateKey = errors.New("jwk: key has no private part")

	// ErrMalformed says that the bytes are not a well-formed key or set, or
	// that a key is too weak to be used.
	ErrMalformed = errors.New("jwk: malformed key")

	// ErrUnsupported says that a key is well-formed as far as can be told, but
	// of a type, curve or use that cannot verify signatures here.
	ErrUnsupported = errors.New("jwk: unsupported key")

	// ErrUnknownKey says that a source holds no key with the id.
	ErrUnknownKey = errors.New("jwk: unknown key")

	// ErrUnavailable says that a remote set holds nothing yet and could not be
	// fetched: no statement about any key is possible.
	ErrUnavailable = errors.New("jwk: key set unavailable")
)
