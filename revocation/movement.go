package revocation

// MaxMovements is the most tokens one [Report] may hold.
const MaxMovements = 64

// A Report tells the authority of tokens that came from another network than
// they are for (claim net). It is the body of POST /network, whose caller
// authenticates as for introspection, and is answered with a [NetworkKey]; an
// empty one only asks for the key. The tokens themselves do not travel, nor do
// addresses.
type Report struct {
	Moved []Movement `json:"moved,omitempty"`
}

// Movement is one token, and where it came from.
type Movement struct {
	ID        ID     `json:"jti"`
	Digest    ID     `json:"digest"`  // the first 16 bytes of the SHA-256 of the whole token
	Network   string `json:"network"` // the /24 or /56 of the address, such as 192.0.2.0/24
	UserAgent string `json:"user_agent,omitempty"`
	Refused   bool   `json:"refused,omitempty"` // by the guard, for this
}

// NetworkKey is the key of the digests in the claim net, base64url. It is for
// guards alone: never log or format one.
type NetworkKey struct {
	Key string `json:"key"`
}
