package jwt

import (
	"slices"
	"strings"
)

// bad marks the bytes outside the base64url alphabet. It has a bit that no
// six-bit value has, so that one test after the loop finds any of them.
const bad = 0x80

// sextets maps the base64url alphabet (RFC 4648 section 5) to its values.
var sextets = func() (t [256]byte) {
	for i := range t {
		t[i] = bad
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	return t
}()

// decodedLen is how many bytes n characters without padding stand for.
func decodedLen(n int) int { return n * 6 / 8 }

// appendDecoded appends the bytes that s stands for. It reports false for any
// byte outside the alphabet (padding, line breaks and spaces included), for an
// impossible length, and for bits that are left over and not zero: each byte
// string has exactly one spelling, so that a token has exactly one too.
func appendDecoded[T string | []byte](dst []byte, s T) ([]byte, bool) {
	n := len(dst)
	dst = slices.Grow(dst, decodedLen(len(s)))
	quads := dst[n : n+len(s)/4*3]
	var all byte
	i := 0
	for ; i+4 <= len(s) && len(quads) >= 3; i += 4 {
		a, b, c, d := sextets[s[i]], sextets[s[i+1]], sextets[s[i+2]], sextets[s[i+3]]
		all |= a | b | c | d
		quads[0], quads[1], quads[2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
		quads = quads[3:]
	}
	dst = dst[:n+i/4*3]
	switch len(s) - i {
	case 1:
		return dst, false
	case 2:
		a, b := sextets[s[i]], sextets[s[i+1]]
		all |= a | b
		if b&0x0f != 0 {
			return dst, false
		}
		dst = append(dst, a<<2|b>>4)
	case 3:
		a, b, c := sextets[s[i]], sextets[s[i+1]], sextets[s[i+2]]
		all |= a | b | c
		if c&0x03 != 0 {
			return dst, false
		}
		dst = append(dst, a<<2|b>>4, b<<4|c>>2)
	}
	return dst, all&bad == 0
}

// split finds the three parts of a compact JWS. The positions are those of the
// two dots.
func split(token string) (first, second int, ok bool) {
	first = strings.IndexByte(token, '.')
	second = first + 1 + strings.IndexByte(token[first+1:], '.')
	if first < 0 || second <= first || strings.IndexByte(token[second+1:], '.') >= 0 {
		return 0, 0, false
	}
	// No part may be empty: a token without signature is no token.
	return first, second, first > 0 && second > first+1 && second < len(token)-1
}
