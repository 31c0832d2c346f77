package authority

import (
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// EventType names what happened.
type EventType string

const (
	EventSignedIn           EventType = "signed_in"
	EventSignInFailed       EventType = "sign_in_failed"
	EventThrottled          EventType = "throttled"
	EventSignedOut          EventType = "signed_out"
	EventSessionEnded       EventType = "session_ended"
	EventSessionsEnded      EventType = "sessions_ended"
	EventConsentGranted     EventType = "consent_granted"
	EventConsentWithdrawn   EventType = "consent_withdrawn"
	EventGrantCreated       EventType = "grant_created"
	EventGrantEnded         EventType = "grant_ended"
	EventTokenRevoked       EventType = "token_revoked"
	EventCodeReplayed       EventType = "code_replayed"
	EventRefreshReused      EventType = "refresh_token_reused"
	EventRefreshShared      EventType = "refresh_token_shared"
	EventRefreshFromFuture  EventType = "refresh_token_ahead" // generation ahead of the row: a restored backup?
	EventForgedToken        EventType = "forged_token"
	EventContextChanged     EventType = "context_changed" // Reason: one of Changed…
	EventNewDevice          EventType = "new_device"      // Reason: one of Changed…
	EventBruteForce         EventType = "brute_force"
	EventAccountCreated     EventType = "account_created"
	EventAccountUpdated     EventType = "account_updated"
	EventAccountDisabled    EventType = "account_disabled"
	EventAccountEnabled     EventType = "account_enabled"
	EventPasswordSet        EventType = "password_set"
	EventClientCreated      EventType = "client_created"
	EventClientUpdated      EventType = "client_updated"
	EventClientSecretIssued EventType = "client_secret_issued"
	EventClientDeleted      EventType = "client_deleted"
	EventResourceCreated    EventType = "resource_created"
	EventResourceUpdated    EventType = "resource_updated"
	EventResourceDeleted    EventType = "resource_deleted"
	EventKeyCreated         EventType = "key_created"
	EventRingExported       EventType = "ring_exported"
	EventDataKeyCreated     EventType = "data_key_created"
	EventDataKeyRewrapped   EventType = "data_key_rewrapped"
	EventDataKeyRemoved     EventType = "data_key_removed"
	EventBackupTaken        EventType = "backup_taken"
	EventKeyStaged          EventType = "key_staged"
	EventKeyImported        EventType = "key_imported"
	EventKeyRotationAsked   EventType = "key_rotation_asked"
	EventKeyActivated       EventType = "key_activated"
	EventKeyRetired         EventType = "key_retired"
	EventKeyCompromised     EventType = "key_compromised"
	EventKeyForgotten       EventType = "key_forgotten"
	EventMinted             EventType = "tokens_minted"
	EventMintRefused        EventType = "mint_refused"
	EventMintRequested      EventType = "mint_requested"
	EventMintApproved       EventType = "mint_approved"
	EventMintDenied         EventType = "mint_denied"
	EventPolicySet          EventType = "policy_set"
	EventPolicyDeleted      EventType = "policy_deleted"
	EventNotMe              EventType = "not_me" // the owner says of a session or grant that it was somebody else
	EventWebhookSet         EventType = "webhook_set"
	EventWebhookRotated     EventType = "webhook_secret_rotated"
	EventWebhookDisabled    EventType = "webhook_disabled" // its receiver answered that it is gone
	EventWebhookDeleted     EventType = "webhook_deleted"
	EventDeliveryFailed     EventType = "delivery_failed" // given up
	EventDeliveryRetried    EventType = "delivery_retried"
)

// Actor is who caused a change.
type Actor struct {
	Kind string // "admin", "account", "client", "resource", "system"
	ID   string // account id, client id, or the name of the admin credential
}

// System is the authority itself.
var System = Actor{Kind: "system", ID: "jeton"}

// Event is one line of the audit trail. It never holds a secret, a token or a
// code.
type Event struct {
	ID        secret.ID // carries the time
	Type      EventType
	Actor     Actor
	AccountID secret.ID
	ClientID  string
	SessionID secret.ID
	GrantID   secret.ID
	TokenID   secret.ID
	Context   Context
	Reason    string
	Data      map[string]string
}

// At is when the event was recorded.
func (e Event) At() time.Time { return e.ID.Time() }
