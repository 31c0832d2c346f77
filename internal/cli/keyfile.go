package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/jetonhq/jeton/jwk"
)

var errNoPrivateKey = errors.New("neither a private JWK nor a private key in PEM (PKCS #8, PKCS #1 or SEC 1, not encrypted)")

// privateJWK reads a private key, in JSON or PEM, and writes it as a JWK. Errors
// do not show what was read.
func privateJWK(file []byte, alg string) ([]byte, error) {
	if block, _ := pem.Decode(file); block != nil {
		key, err := fromPEM(block, jwk.Algorithm(alg))
		if err != nil {
			return nil, err
		}
		return key.MarshalPrivate()
	}
	key, err := jwk.ParsePrivate(bytes.TrimSpace(file))
	if err != nil || !key.Private() {
		return nil, errNoPrivateKey
	}
	if alg != "" && key.Algorithm() != jwk.Algorithm(alg) {
		if key, err = key.Pin(jwk.Algorithm(alg)); err != nil {
			return nil, err
		}
	}
	return key.MarshalPrivate()
}

func fromPEM(block *pem.Block, alg jwk.Algorithm) (*jwk.Key, error) {
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if key, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
			if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
				return nil, errNoPrivateKey
			}
		}
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		natural := map[elliptic.Curve]jwk.Algorithm{elliptic.P256(): jwk.ES256, elliptic.P384(): jwk.ES384, elliptic.P521(): jwk.ES512}[k.Curve]
		return jwk.New(natural, k)
	case ed25519.PrivateKey:
		return jwk.New(jwk.Ed25519, k)
	case *rsa.PrivateKey:
		if alg == "" {
			alg = jwk.RS256
		}
		return jwk.New(alg, k)
	}
	return nil, errNoPrivateKey
}
