package authority

import (
	"fmt"
	"slices"
)

// ownRings are the names that the authority keeps for rings of its own, those of
// today and those it might want.
var ownRings = []string{RingAccess, RingID, RingRefresh, RingFlow, "seal", "dpop", "cookie", "session", "network", "webhook", "mail"}

// SharedRing reports whether a ring is one of shared secrets, by its name: its
// keys sign access tokens with HS256 for the resources that name it, and every
// server of those resources holds them. No ring of the authority's own is.
func SharedRing(name string) bool { return CheckSharedRing(name) == nil }

// CheckSharedRing says what is wrong with the name of a ring of shared secrets:
// it has 1 to 64 of a-z, 0-9, '-' and '_', begins with a letter, and is no name
// of a ring of the authority's own.
func CheckSharedRing(name string) error {
	if slices.Contains(ownRings, name) {
		return fmt.Errorf("ring %q is the authority's own", name)
	}
	bad := name == "" || len(name) > 64 || name[0] < 'a' || name[0] > 'z'
	for _, c := range []byte(name) {
		bad = bad || (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}
	if bad {
		return fmt.Errorf("a ring's name has 1 to 64 of a-z, 0-9, - and _, and begins with a letter")
	}
	return nil
}
