package jwk

import (
	"encoding/asn1"
	"fmt"
	"math/big"
)

// maxDER holds the ASN.1 form of an ES512 signature: a sequence header of three
// bytes and twice a header of two, a sign byte and 66 bytes.
const maxDER = 3 + 2*(2+1+66)

// toDER writes the JOSE form r‖s (each half size bytes) as an ASN.1 sequence of
// two integers and answers its length, or 0 when a half is zero: no signature
// has one, and an all-zero signature has fooled verifiers before.
func toDER(into *[maxDER]byte, sig []byte, size int) int {
	r, s := trimZeros(sig[:size]), trimZeros(sig[size:])
	if len(r) == 0 || len(s) == 0 {
		return 0
	}
	body := integerSize(r) + integerSize(s)
	b := append(into[:0], 0x30)
	if body > 127 {
		b = append(b, 0x81)
	}
	b = append(b, byte(body)) //nolint:gosec // below maxDER, thus below 256
	b = appendInteger(b, r)
	b = appendInteger(b, s)
	return len(b)
}

func trimZeros(b []byte) []byte {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return b
}

func integerSize(b []byte) int { return 2 + int(b[0]>>7) + len(b) }

func appendInteger(b, n []byte) []byte {
	b = append(b, 0x02, byte(int(n[0]>>7)+len(n))) //nolint:gosec // at most 67
	if n[0]&0x80 != 0 {
		b = append(b, 0)
	}
	return append(b, n...)
}

// fromDER is the other way, for what a crypto.Signer answers.
func fromDER(der []byte, size int) ([]byte, error) {
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &sig)
	if err != nil || len(rest) != 0 || sig.R.Sign() <= 0 || sig.S.Sign() <= 0 ||
		sig.R.BitLen() > 8*size || sig.S.BitLen() > 8*size {
		return nil, fmt.Errorf("jwk: signing: signer answered a malformed ECDSA signature")
	}
	out := make([]byte, 2*size)
	sig.R.FillBytes(out[:size])
	sig.S.FillBytes(out[size:])
	return out, nil
}
