package jwk_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/jwk"
)

func TestKey_RoundTrip(t *testing.T) {
	message := []byte("message")
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			k := withID(t, generate(t, alg), "key 1/ä")
			sig, err := k.Sign(message)
			if err != nil {
				t.Fatal(err)
			}
			b, err := k.MarshalPrivate()
			if err != nil {
				t.Fatal(err)
			}
			again, err := jwk.ParsePrivate(b)
			if err != nil {
				t.Fatal(err)
			}
			if again.ID() != k.ID() || again.Algorithm() != alg || again.Thumbprint() != k.Thumbprint() || !again.Private() || again.Use() != "sig" {
				t.Errorf("read back as %v, was %v", again, k)
			}
			if err := again.Verify(message, sig); err != nil {
				t.Error(err)
			}
			if sig, err = again.Sign(message); err != nil {
				t.Fatal(err)
			}
			if alg.Symmetric() {
				if k.Public() != nil {
					t.Error("an HMAC key has a public part")
				}
				if _, err := k.MarshalJSON(); !errors.Is(err, jwk.ErrPrivateKey) {
					t.Errorf("publishing a secret: %v, want ErrPrivateKey", err)
				}
				return
			}
			b, err = json.Marshal(k)
			if err != nil {
				t.Fatal(err)
			}
			public, err := jwk.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []*jwk.Key{public, k.Public()} {
				if p.Private() || p.ID() != k.ID() || p.Algorithm() != alg {
					t.Errorf("public key is %v (private: %t)", p, p.Private())
				}
				if err := p.Verify(message, sig); err != nil {
					t.Error(err)
				}
				if _, err := p.Sign(message); !errors.Is(err, jwk.ErrNoPrivateKey) {
					t.Errorf("signing with a public key: %v", err)
				}
				if _, err := p.MarshalPrivate(); !errors.Is(err, jwk.ErrNoPrivateKey) {
					t.Errorf("private members of a public key: %v", err)
				}
			}
		})
	}
}

// Each key is used with every other algorithm's name: one key is one algorithm.
func TestJW_10_KeyFitsAlgorithm(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	for name, c := range map[string]struct {
		alg jwk.Algorithm
		key any
	}{
		"P-256 as ES384":       {jwk.ES384, ec},
		"P-256 as RS256":       {jwk.RS256, ec},
		"P-256 as Ed25519":     {jwk.Ed25519, ec.Public()},
		"RSA as ES256":         {jwk.ES256, r},
		"RSA public as HS256":  {jwk.HS256, &r.PublicKey},
		"secret as RS256":      {jwk.RS256, make([]byte, 64)},
		"none":                 {"none", make([]byte, 64)},
		"lower case":           {"hs256", make([]byte, 64)},
		"padded":               {"ES256 ", ec},
		"RSA1_5":               {"RSA1_5", r},
		"nothing":              {jwk.ES256, nil},
		"key by value":         {jwk.ES256, *ec},
		"secret as text":       {jwk.HS256, strings.Repeat("x", 64)},
		"empty algorithm name": {"", ec},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := jwk.New(c.alg, c.key); !errors.Is(err, jwk.ErrAlgorithm) {
				t.Errorf("got %v, want ErrAlgorithm", err)
			}
		})
	}
	if _, err := jwk.Generate("none"); !errors.Is(err, jwk.ErrAlgorithm) {
		t.Errorf("generating for none: %v", err)
	}
}

// RS256 and PS256 signatures of one RSA key do not verify as each other.
func TestJW_10_OneKeyOneAlgorithm(t *testing.T) {
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	for _, signer := range []jwk.Algorithm{jwk.RS256, jwk.RS384, jwk.PS256, jwk.PS512} {
		for _, verifier := range []jwk.Algorithm{jwk.RS256, jwk.RS384, jwk.PS256, jwk.PS512} {
			a, _ := jwk.New(signer, r)
			b, _ := jwk.New(verifier, r)
			sig, err := a.Sign([]byte("m"))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := b.Verify([]byte("m"), sig) == nil, signer == verifier; got != want {
				t.Errorf("%s verifies %s: %t, want %t", verifier, signer, got, want)
			}
		}
	}
}

func TestJW_11_WeakKeys(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0") // the standard library would refuse to make them
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	n.SetBit(n, 0, 1)
	huge := new(big.Int).Lsh(big.NewInt(1), 16383)
	huge.SetBit(huge, 0, 1)
	for name, c := range map[string]struct {
		alg jwk.Algorithm
		key any
	}{
		"RSA 1024":        {jwk.RS256, small},
		"RSA 16384":       {jwk.RS256, &rsa.PublicKey{N: huge, E: 65537}},
		"RSA e=3":         {jwk.RS256, &rsa.PublicKey{N: n, E: 3}},
		"RSA e even":      {jwk.PS256, &rsa.PublicKey{N: n, E: 65538}},
		"RSA n even":      {jwk.PS256, &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}},
		"RSA no n":        {jwk.RS256, &rsa.PublicKey{E: 65537}},
		"HS256 31 bytes":  {jwk.HS256, make([]byte, 31)},
		"HS384 47 bytes":  {jwk.HS384, make([]byte, 47)},
		"HS512 63 bytes":  {jwk.HS512, make([]byte, 63)},
		"EC not on curve": {jwk.ES256, &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}}, //nolint:staticcheck // no other way to a key that is none
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := jwk.New(c.alg, c.key); !errors.Is(err, jwk.ErrMalformed) {
				t.Errorf("got %v, want ErrMalformed", err)
			}
		})
	}
}

func TestJW_12_SignatureSizes(t *testing.T) {
	sizes := map[jwk.Algorithm]int{
		jwk.ES256: 64, jwk.ES384: 96, jwk.ES512: 132, jwk.Ed25519: 64, jwk.EdDSA: 64, jwk.RS256: 256, jwk.RS384: 256, jwk.RS512: 256,
		jwk.PS256: 256, jwk.PS384: 256, jwk.PS512: 256, jwk.HS256: 32, jwk.HS384: 48, jwk.HS512: 64,
	}
	message := []byte("message")
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			k := generate(t, alg)
			for range 20 { // numbers with leading zeros must stay at full width
				sig, err := k.Sign(message)
				if err != nil {
					t.Fatal(err)
				}
				if len(sig) != sizes[alg] || k.SignatureSize() != sizes[alg] {
					t.Fatalf("signature of %d bytes, want %d", len(sig), sizes[alg])
				}
				if err := k.Verify(message, sig); err != nil {
					t.Fatal(err)
				}
				for name, wrong := range map[string][]byte{
					"longer": append(sig[:len(sig):len(sig)], 0), "shorter": sig[:len(sig)-1], "front zero": append([]byte{0}, sig...), "empty": nil,
				} {
					if err := k.Verify(message, wrong); !errors.Is(err, jwk.ErrSignature) {
						t.Fatalf("%s: %v, want ErrSignature", name, err)
					}
				}
				if alg.Symmetric() || k.Algorithm()[0] == 'R' {
					break
				}
			}
		})
	}
}

func TestJW_12_V11_ECDSA(t *testing.T) {
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k, err := jwk.New(jwk.ES256, private)
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("message")
	sig, err := k.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	zero := make([]byte, 32)
	for name, wrong := range map[string][]byte{
		"all zero": make([]byte, 64),
		"r zero":   append(append([]byte{}, zero...), sig[32:]...),
		"s zero":   append(append([]byte{}, sig[:32]...), zero...),
		"swapped":  append(append([]byte{}, sig[32:]...), sig[:32]...),
		"r order":  append(elliptic.P256().Params().N.Bytes(), sig[32:]...),
	} {
		if k.Verify(message, wrong) == nil {
			t.Errorf("%s verifies", name)
		}
	}
	// (r, n-s) is as good as (r, s): high-s is legal.
	s := new(big.Int).SetBytes(sig[32:])
	other := append(append([]byte{}, sig[:32]...), s.Sub(elliptic.P256().Params().N, s).FillBytes(make([]byte, 32))...)
	if err := k.Verify(message, other); err != nil {
		t.Errorf("the other s: %v", err)
	}
	// ASN.1 is what the standard library makes and JOSE does not take.
	for _, size := range []int{64, 70, 71, 72} {
		if k.Verify(message, append([]byte{0x30, byte(size - 2)}, make([]byte, size-2)...)) == nil {
			t.Error("ASN.1 verifies")
		}
	}
}

func TestJW_13_PinEdDSA(t *testing.T) {
	const public = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	stated := parse(t, `{`+public+`,"alg":"Ed25519"}`)
	if _, err := stated.Pin(jwk.EdDSA); !errors.Is(err, jwk.ErrAlgorithm) {
		t.Errorf("a key with alg Ed25519 became EdDSA: %v", err)
	}
	if same, err := stated.Pin(jwk.Ed25519); err != nil || same != stated {
		t.Errorf("pinning to its own algorithm: %v, %v", same, err)
	}
	silent := parse(t, `{`+public+`}`)
	pinned, err := silent.Pin(jwk.EdDSA)
	if err != nil || pinned.Algorithm() != jwk.EdDSA {
		t.Fatalf("a key without alg: %v, %v", pinned, err)
	}
	if _, err := pinned.Pin(jwk.Ed25519); !errors.Is(err, jwk.ErrAlgorithm) {
		t.Errorf("pinned twice: %v", err)
	}
	for _, alg := range []jwk.Algorithm{jwk.ES256, jwk.HS256, jwk.RS256, "none", ""} {
		if _, err := silent.Pin(alg); !errors.Is(err, jwk.ErrAlgorithm) {
			t.Errorf("an Ed25519 key became %s: %v", alg, err)
		}
	}
	// The name is published as the fully specified one.
	b, _ := seedKey(t, jwk.Ed25519, seed4).MarshalJSON()
	if !strings.Contains(string(b), `"alg":"Ed25519"`) {
		t.Errorf("published as %s", b)
	}
}

type failingSigner struct {
	crypto.Signer
	answer []byte
	err    error
}

func (s failingSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return s.answer, s.err
}

func TestJW_14_Signing(t *testing.T) {
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k, _ := jwk.New(jwk.ES256, private)
	a, _ := k.Sign([]byte("m"))
	b, _ := k.Sign([]byte("m"))
	if string(a) == string(b) {
		t.Error("two ECDSA signatures are equal: not hedged")
	}
	broken := errors.New("device is gone")
	for name, s := range map[string]failingSigner{
		"error":          {private, nil, broken},
		"not ASN.1":      {private, make([]byte, 64), nil},
		"trailing bytes": {private, []byte{0x30, 6, 2, 1, 1, 2, 1, 1, 0}, nil},
		"zero":           {private, []byte{0x30, 6, 2, 1, 0, 2, 1, 1}, nil},
		"negative":       {private, []byte{0x30, 6, 2, 1, 0xff, 2, 1, 1}, nil},
	} {
		k, err := jwk.New(jwk.ES256, s)
		if err != nil {
			t.Fatal(err)
		}
		if sig, err := k.Sign([]byte("m")); err == nil {
			t.Errorf("%s: signed %x", name, sig)
		} else if s.err != nil && !errors.Is(err, broken) {
			t.Errorf("%s: cause is lost: %v", name, err)
		}
	}
}

// A key is printed, logged and encoded in every way we know; the private part
// must be in none of it.
func TestKey_DoesNotPrint(t *testing.T) {
	for _, alg := range algorithms {
		k := generate(t, alg)
		b, err := k.MarshalPrivate()
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]string
		if err := json.Unmarshal(b, &members); err != nil {
			t.Fatal(err)
		}
		type nested struct {
			Ptr    *jwk.Key
			Val    jwk.Key
			hidden *jwk.Key
			inside jwk.Key
		}
		n := nested{k, *k, k, *k}
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			_, _ = fmt.Fprintf(&out, verb+verb+verb+verb, k, *k, n, &n)
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("x", "k", k, "v", *k, "n", n)
		}
		text, _ := k.MarshalText()
		out.Write(text)
		for _, v := range []any{k, *k, n, map[string]any{"k": k}} {
			j, _ := json.Marshal(v)
			out.Write(j)
		}
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if s := members[name]; s != "" && strings.Contains(out.String(), s) {
				t.Errorf("%s: member %s is printed", alg, name)
			}
			if raw := members[name]; raw != "" {
				b := decode(t, raw)
				for _, form := range []string{string(b), fmt.Sprintf("%x", b), strings.Trim(fmt.Sprint(b), "[]"), new(big.Int).SetBytes(b).String()} {
					if strings.Contains(out.String(), form) {
						t.Errorf("%s: member %s is printed in another form", alg, name)
					}
				}
			}
		}
		if !strings.Contains(out.String(), k.ID()) {
			t.Errorf("%s: the id is not printed", alg)
		}
	}
}

func TestKey_WithID(t *testing.T) {
	k := generate(t, jwk.Ed25519)
	if k.ID() != k.Thumbprint() {
		t.Error("the id is not the thumbprint")
	}
	other := withID(t, k, "as-2026-1")
	if other.ID() != "as-2026-1" || k.ID() == other.ID() || other.Thumbprint() != k.Thumbprint() {
		t.Error("WithID changed something else")
	}
	for _, kid := range []string{"", strings.Repeat("x", jwk.MaxIDLength+1), "\xff"} {
		if _, err := k.WithID(kid); !errors.Is(err, jwk.ErrMalformed) {
			t.Errorf("kid %q: %v", kid, err)
		}
	}
}
