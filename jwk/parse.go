package jwk

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxIDLength is the longest kid a key may have, in bytes.
const MaxIDLength = 256

const maxKeyBytes = 64 << 10

// privateMembers may not appear in a public key: RFC 7518 sections 6.2.2, 6.3.2
// and 6.4, RFC 8037 section 2.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// Parse reads one public JWK. Unknown members are ignored; member names are
// compared exactly and may not repeat. A key with any private member, or of type
// "oct", is refused with [ErrPrivateKey]; a key for encryption, or of an unknown
// type or curve, with [ErrUnsupported]; anything else with [ErrMalformed].
//
// A JWK without "kid" gets its thumbprint as id. One without "alg" gets the
// algorithm its type suggests; see [Key.Pin].
func Parse(b []byte) (*Key, error) {
	jwk, err := readMembers(b, maxKeyBytes)
	if err != nil {
		return nil, err
	}
	return jwk.key()
}

// ParsePrivate reads what [Key.MarshalPrivate] wrote: a JWK with its private
// members. The private part must belong to the public part.
func ParsePrivate(b []byte) (*Key, error) {
	jwk, err := readMembers(b, maxKeyBytes)
	if err != nil {
		return nil, err
	}
	private, err := jwk.private()
	if err != nil {
		return nil, err
	}
	return jwk.build(private)
}

// members are the members of one JSON object by exact name.
type members map[string]json.RawMessage

// readMembers takes an object apart with a token reader: decoding into a struct
// would match names without regard to case and let the last duplicate win.
func readMembers(b []byte, limit int) (members, error) {
	if len(b) > limit {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrMalformed, limit)
	}
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrMalformed)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, fmt.Errorf("%w: not a JSON object", ErrMalformed)
	}
	m := members{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: not a JSON object", ErrMalformed)
		}
		name, _ := tok.(string)
		if _, ok := m[name]; ok {
			return nil, fmt.Errorf("%w: a member appears twice", ErrMalformed)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("%w: not a JSON object", ErrMalformed)
		}
		m[name] = raw
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: not a JSON object", ErrMalformed)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: data after the JSON object", ErrMalformed)
	}
	return m, nil
}

// text is a string member, or "" when there is none.
func (m members) text(name string) (string, error) {
	raw, ok := m[name]
	if !ok {
		return "", nil
	}
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", fmt.Errorf("%w: %s is not a string", ErrMalformed, name)
	}
	return s, nil
}

// octets is a base64url member that must be there. Only the one canonical
// spelling is read: Strict refuses stray trailing bits, the scan refuses the
// line breaks that Strict skips.
func (m members) octets(name string) ([]byte, error) {
	s, err := m.text(name)
	if err != nil {
		return nil, err
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) == 0 || strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: %s is not base64url", ErrMalformed, name)
	}
	return b, nil
}

// integer is an unsigned big-endian number without leading zero octets (RFC 7518
// section 2, Base64urlUInt).
func (m members) integer(name string) (*big.Int, error) {
	b, err := m.octets(name)
	if err != nil {
		return nil, err
	}
	if b[0] == 0 || len(b) > maxRSABits/8 {
		return nil, fmt.Errorf("%w: %s has leading zeros or is too large", ErrMalformed, name)
	}
	return new(big.Int).SetBytes(b), nil
}

// key builds the public key the members describe.
func (m members) key() (*Key, error) {
	kty, err := m.text("kty")
	if err != nil {
		return nil, err
	}
	for _, name := range privateMembers {
		if _, ok := m[name]; ok || kty == "oct" {
			return nil, ErrPrivateKey
		}
	}
	public, err := m.public(kty)
	if err != nil {
		return nil, err
	}
	return m.build(public)
}

func (m members) public(kty string) (any, error) {
	crv, err := m.text("crv")
	if err != nil {
		return nil, err
	}
	switch kty {
	case "EC":
		alg, ok := curveAlgorithm(crv)
		if !ok {
			return nil, fmt.Errorf("%w: curve", ErrUnsupported)
		}
		t, _ := alg.traits()
		x, errX := m.octets("x")
		y, errY := m.octets("y")
		if errX != nil || errY != nil || len(x) != t.size || len(y) != t.size {
			return nil, fmt.Errorf("%w: coordinates have the full length of the curve", ErrMalformed)
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(t.curve(), slices.Concat([]byte{4}, x, y))
		if err != nil {
			return nil, fmt.Errorf("%w: not a point of the curve", ErrMalformed)
		}
		return pub, nil
	case "OKP":
		if crv != "Ed25519" {
			return nil, fmt.Errorf("%w: curve", ErrUnsupported)
		}
		x, err := m.octets("x")
		if err != nil {
			return nil, err
		}
		return ed25519.PublicKey(x), nil
	case "RSA":
		n, err := m.integer("n")
		if err != nil {
			return nil, err
		}
		e, err := m.integer("e")
		if err != nil {
			return nil, err
		}
		if !e.IsInt64() || e.Int64() > 1<<31-1 {
			return nil, fmt.Errorf("%w: RSA exponent", ErrMalformed)
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
	case "":
		return nil, fmt.Errorf("%w: no kty", ErrMalformed)
	}
	return nil, fmt.Errorf("%w: kty", ErrUnsupported)
}

func (m members) private() (any, error) {
	kty, err := m.text("kty")
	if err != nil {
		return nil, err
	}
	if kty == "oct" {
		return m.octets("k")
	}
	public, err := m.public(kty)
	if err != nil {
		return nil, err
	}
	if _, ok := m["d"]; !ok {
		return nil, ErrNoPrivateKey
	}
	d, err := m.octets("d")
	if err != nil {
		return nil, err
	}
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		key, err := ecdsa.ParseRawPrivateKey(public.Curve, d)
		if err != nil || !key.PublicKey.Equal(public) {
			return nil, fmt.Errorf("%w: private and public part differ", ErrMalformed)
		}
		return key, nil
	case ed25519.PublicKey:
		if len(d) != ed25519.SeedSize {
			return nil, fmt.Errorf("%w: Ed25519 private keys have 32 bytes", ErrMalformed)
		}
		key := ed25519.NewKeyFromSeed(d)
		if !public.Equal(key.Public()) {
			return nil, fmt.Errorf("%w: private and public part differ", ErrMalformed)
		}
		return key, nil
	default:
		return m.rsaPrivate(public.(*rsa.PublicKey))
	}
}

func (m members) rsaPrivate(public *rsa.PublicKey) (any, error) {
	if _, ok := m["oth"]; ok {
		return nil, fmt.Errorf("%w: RSA keys have two primes", ErrUnsupported)
	}
	var numbers [3]*big.Int
	for i, name := range []string{"d", "p", "q"} {
		n, err := m.integer(name)
		if err != nil {
			return nil, err
		}
		numbers[i] = n
	}
	key := &rsa.PrivateKey{PublicKey: *public, D: numbers[0], Primes: numbers[1:]}
	if err := key.Validate(); err != nil {
		return nil, fmt.Errorf("%w: private and public part differ", ErrMalformed)
	}
	key.Precompute()
	return key, nil
}

// build adds the members that all keys share.
func (m members) build(key any) (*Key, error) {
	kid, err := m.text("kid")
	if err != nil {
		return nil, err
	}
	use, err := m.text("use")
	if err != nil {
		return nil, err
	}
	name, err := m.text("alg")
	if err != nil {
		return nil, err
	}
	if use != "" && use != "sig" {
		return nil, fmt.Errorf("%w: not for signatures", ErrUnsupported)
	}
	if err := m.checkOperations(); err != nil {
		return nil, err
	}
	alg := Algorithm(name)
	if name == "" {
		if alg = usualAlgorithm(key); alg == "" {
			return nil, fmt.Errorf("%w: no alg", ErrMalformed)
		}
	} else if !alg.Supported() {
		return nil, fmt.Errorf("%w: alg", ErrUnsupported)
	}
	k, err := New(alg, key)
	if err != nil {
		if errors.Is(err, ErrAlgorithm) {
			err = fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return nil, err
	}
	k.m().stated, k.m().use = name != "", use // k is not shared yet
	if kid != "" {
		return k.WithID(kid)
	}
	return k, nil
}

// checkOperations honours key_ops (RFC 7517 section 4.3) where it is given.
func (m members) checkOperations() error {
	raw, ok := m["key_ops"]
	if !ok {
		return nil
	}
	var ops []string
	if err := json.Unmarshal(raw, &ops); err != nil {
		return fmt.Errorf("%w: key_ops is not a list of strings", ErrMalformed)
	}
	if !slices.Contains(ops, "verify") && !slices.Contains(ops, "sign") {
		return fmt.Errorf("%w: not for signatures", ErrUnsupported)
	}
	return nil
}

func curveAlgorithm(crv string) (Algorithm, bool) {
	switch crv {
	case "P-256":
		return ES256, true
	case "P-384":
		return ES384, true
	case "P-521":
		return ES512, true
	}
	return "", false
}

// usualAlgorithm is what a key without "alg" is taken for. Nothing is guessed
// for a shared secret.
func usualAlgorithm(key any) Algorithm {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		alg, _ := curveAlgorithm(key.Curve.Params().Name)
		return alg
	case *ecdsa.PrivateKey:
		alg, _ := curveAlgorithm(key.Curve.Params().Name)
		return alg
	case ed25519.PublicKey, ed25519.PrivateKey:
		return Ed25519
	case *rsa.PublicKey, *rsa.PrivateKey:
		return RS256
	}
	return ""
}

func checkID(kid string) error {
	if kid == "" || len(kid) > MaxIDLength || !utf8.ValidString(kid) {
		return fmt.Errorf("%w: a kid has 1 to %d bytes of UTF-8", ErrMalformed, MaxIDLength)
	}
	return nil
}
