package jwt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/jetonhq/jeton/jwk"
)

// Sign makes a compact token. typ is the media type of the kind of token without
// "application/", such as "at+jwt", or "" for none. claims is a [Claims] or
// anything else that encodes to a JSON object. The header has typ, alg and kid,
// in this order; alg and kid are those of the key.
//
// What a [Verifier] would refuse as malformed is not signed. The errors are
// [jwk.ErrNoPrivateKey], those of the signer, and [ErrMalformed].
func Sign(key *jwk.Key, typ string, claims any) (string, error) {
	var payload []byte
	var own *Claims
	var err error
	switch claims := claims.(type) {
	case *Claims:
		own = claims
	case Claims:
		own = &claims
	default:
		payload, err = marshal(claims)
	}
	if own != nil {
		payload, err = own.AppendJSON(make([]byte, 0, 512))
	}
	if err != nil {
		return "", fmt.Errorf("jwt: encoding claims: %w", err)
	}
	if own == nil || !own.plain() || !utf8.Valid(payload) {
		return SignPayload(key, typ, payload)
	}
	return seal(key, typ, nil, payload)
}

// plain reports whether AppendJSON writes what a verifier reads, without that
// having to be looked at: every member is from a field that is written in one way.
func (c *Claims) plain() bool {
	if len(c.Extra) > 0 || c.Actor != nil || c.Events != nil {
		return false
	}
	for _, n := range [...]int64{c.IssuedAt, c.NotBefore, c.ExpiresAt, c.AuthTime, c.Uses, c.Version} {
		if n < 0 || n > maxSafeDate {
			return false
		}
	}
	return true
}

// SignPayload is Sign for claims that are JSON already. The token carries
// exactly these bytes.
func SignPayload(key *jwk.Key, typ string, payload []byte) (string, error) {
	if err := new(Claims).read(string(payload), nil); err != nil {
		return "", err
	}
	return seal(key, typ, nil, payload)
}

// SignDPoP makes a DPoP proof (RFC 9449 section 4.2): typ "dpop+jwt", the public
// key in the header, no kid. HMAC keys cannot make one.
func SignDPoP(key *jwk.Key, claims any) (string, error) {
	public, err := key.MarshalJSON()
	if err != nil {
		return "", fmt.Errorf("jwt: DPoP proof: %w", err)
	}
	payload, err := marshal(claims)
	if err != nil {
		return "", fmt.Errorf("jwt: encoding claims: %w", err)
	}
	if err := new(Claims).read(string(payload), nil); err != nil {
		return "", err
	}
	return seal(key, DPoPProof.Type, public, payload)
}

func seal(key *jwk.Key, typ string, embedded, payload []byte) (string, error) {
	if key == nil || !key.Private() {
		return "", jwk.ErrNoPrivateKey
	}
	if !printable(typ) {
		return "", errors.New("jwt: typ is not printable")
	}
	header := make([]byte, 0, 128+len(embedded))
	header = append(header, '{')
	if typ != "" {
		header = append(appendString(append(header, `"typ":`...), typ), ',')
	}
	header = append(append(append(header, `"alg":"`...), key.Algorithm()...), '"')
	if embedded != nil {
		header = append(append(header, `,"jwk":`...), embedded...)
	} else {
		header = appendString(append(header, `,"kid":`...), key.ID())
	}
	header = append(header, '}')

	enc := base64.RawURLEncoding
	size := enc.EncodedLen(len(header)) + enc.EncodedLen(len(payload)) + enc.EncodedLen(key.SignatureSize()) + 2
	token := enc.AppendEncode(make([]byte, 0, size), header)
	token = append(token, '.')
	token = enc.AppendEncode(token, payload)
	sig, err := key.Sign(token)
	if err != nil {
		return "", err
	}
	token = append(token, '.')
	return string(enc.AppendEncode(token, sig)), nil
}

// marshal is json.Marshal without escaping for HTML, which a token never needs.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
