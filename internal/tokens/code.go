package tokens

import (
	"encoding/base64"
	"strings"

	"github.com/jetonhq/jeton/internal/secret"
)

// An authorization code is
//
//	jc_ + base64url( id 16 | secret 32 )
//
// The id names its row, the row holds the SHA-256 of the whole.
const codePrefix = "jc_"

// NewCode makes the text of a code for id.
func NewCode(id secret.ID) secret.Value {
	return secret.New(codePrefix + base64.RawURLEncoding.EncodeToString(append(id[:], secret.Bytes(32)...)))
}

// CodeID reads the id out of a code. It proves nothing: compare the digest.
func CodeID(code string) (secret.ID, bool) {
	text, ok := strings.CutPrefix(code, codePrefix)
	if !ok || len(text) != 64 {
		return secret.ID{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 48 {
		return secret.ID{}, false
	}
	return secret.ID(b[:16]), true
}
