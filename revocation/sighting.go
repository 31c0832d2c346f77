package revocation

// MaxSightings is the most tokens one [Question] may hold.
const MaxSightings = 256

// A Question asks the authority about tokens that verify and are seen for the
// first time: did it issue them, and are they alive? It is the body of
// POST /registry/check, whose caller authenticates as for introspection. The
// tokens themselves do not travel.
type Question struct {
	Tokens []Sighting `json:"tokens"`
}

// Sighting names one token.
type Sighting struct {
	ID     ID     `json:"jti"`
	Digest ID     `json:"digest"`        // the first 16 bytes of the SHA-256 of the whole token
	KeyID  string `json:"kid,omitempty"` // the key that signed it, for the event when it was never issued
}

// An Answer holds one verdict per sighting, in order: "" for a token that the
// authority issued and that is alive, else the reason to refuse it ("revoked",
// "session_ended", "unknown_token", "expired"; any other text is a refusal too).
type Answer struct {
	Verdicts []string `json:"verdicts"`
}
