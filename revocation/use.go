package revocation

// MaxUses is the most uses one [Consumption] may hold.
const MaxUses = 256

// A Consumption asks the authority to count uses of tokens that may be used
// only so often (claim uses). It is the body of POST /consume, whose caller
// authenticates as for introspection, and is answered with an [Answer]: "" for
// a use that was counted, else the reason to refuse it ("no_uses_left",
// "not_single_use" for a token that is not counted, and those of a [Question]).
//
// A caller that gets no answer asks again with the same requests: each is
// counted once.
type Consumption struct {
	Uses []Use `json:"uses"`
}

// Use is one use of a token.
type Use struct {
	ID      ID     `json:"jti"`
	Digest  ID     `json:"digest"`        // the first 16 bytes of the SHA-256 of the whole token
	Request ID     `json:"request"`       // 16 random bytes that name this use
	KeyID   string `json:"kid,omitempty"` // as in Sighting
}
