package mail

import (
	"slices"
	"strings"

	"github.com/jetonhq/jeton/internal/authority"
)

// Kind names a kind of mail. Configuration and template files use the same name.
type Kind string

// What owners of accounts are told.
const (
	NewDevice      Kind = "new_device"
	ContextChanged Kind = "context_changed"
	RefreshReused  Kind = "refresh_token_reused"
	RefreshShared  Kind = "refresh_token_shared"
	BruteForce     Kind = "brute_force"
	PasswordSet    Kind = "password_set"
	EmailChanged   Kind = "email_changed"
	CodeReplayed   Kind = "code_replayed"
	TokensMinted   Kind = "tokens_minted"
)

// What administrators are told.
const (
	ForgedToken    Kind = "forged_token"
	KeyCompromised Kind = "key_compromised"
	MintRequested  Kind = "mint_requested"
	RefreshAhead   Kind = "refresh_token_ahead"
)

// These belong to no event.
const (
	more       Kind = "more_happened"        // the last mail before silence
	moreAdmins Kind = "more_happened_admins" // the same to administrators
	test       Kind = "test"
)

// OwnerKinds and AdminKinds list what can be mailed to whom, in the order of
// the manual.
var (
	OwnerKinds = []Kind{NewDevice, ContextChanged, RefreshReused, RefreshShared, BruteForce, PasswordSet, EmailChanged, CodeReplayed, TokensMinted}
	AdminKinds = []Kind{ForgedToken, KeyCompromised, MintRequested, RefreshAhead}
)

// allKinds is every kind that has templates.
func allKinds() []Kind { return slices.Concat(OwnerKinds, AdminKinds, []Kind{more, moreAdmins, test}) }

// KindNames are the names of all that can be mailed.
func KindNames() []string {
	var names []string
	for _, k := range slices.Concat(OwnerKinds, AdminKinds) {
		names = append(names, string(k))
	}
	return names
}

// kindOf is the kind of mail that tells of an event, "" when none does.
func kindOf(e authority.Event) Kind {
	switch e.Type {
	case authority.EventAccountUpdated:
		if slices.Contains(strings.Fields(e.Data["changed"]), "email") {
			return EmailChanged
		}
		return ""
	case authority.EventGrantCreated:
		if e.Data["act"] != "" && !e.AccountID.IsZero() {
			return TokensMinted
		}
		return ""
	case authority.EventMinted: // of the client's; its owners' are above
		return ""
	default:
	}
	if k := Kind(e.Type); slices.Contains(OwnerKinds, k) && !e.AccountID.IsZero() || slices.Contains(AdminKinds, k) {
		return k
	}
	return ""
}

// linksSession reports whether the link of such a mail offers to end the session
// that the event names. An agent's tokens are not the session's doing.
func (k Kind) linksSession() bool { return k != TokensMinted }
