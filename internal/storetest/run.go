// Package storetest holds every store to the contracts of package authority.
// A store's own test calls Run; what is true of one engine only is tested
// beside that engine.
package storetest

import (
	"regexp"
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
)

// Run tests the store that open returns. open is called for each test and gives
// it a store without records, which it closes when the test ends.
func Run(t *testing.T, open func(t *testing.T) authority.Store) { run(t, open, false, "") }

// RunExpiring is Run for a store in which tokens that are not counted, and tickets,
// go by themselves at some time after they have expired: Sweep neither removes nor
// counts them. Of the tests it runs those whose names match the pattern.
func RunExpiring(t *testing.T, open func(t *testing.T) authority.Store, pattern string) {
	run(t, open, true, pattern)
}

func run(t *testing.T, open func(t *testing.T) authority.Store, expiring bool, pattern string) {
	wanted := regexp.MustCompile(pattern)
	tests := []struct {
		name string
		run  func(w *world)
	}{
		{"Accounts", testAccounts},
		{"AccountConflicts", testAccountConflicts},
		{"AccountPages", testAccountPages},
		{"AccountUpdateRace", testAccountUpdateRace},
		{"Clients", testClients},
		{"ClientConflicts", testClientConflicts},
		{"ClientPages", testClientPages},
		{"Resources", testResources},
		{"Sessions", testSessions},
		{"SessionTouch", testSessionTouch},
		{"SessionMove", testSessionMove},
		{"SessionReplaced", testSessionReplaced},
		{"SessionOfDisabledAccount", testSessionOfDisabledAccount},
		{"SessionPages", testSessionPages},
		{"Codes", testCodes},
		{"CodeNeedsLiveSession", testCodeNeedsLiveSession},
		{"CodeConsent", testCodeConsent},
		{"Redeem", testRedeem},
		{"RedeemRefused", testRedeemRefused},
		{"RedeemRace", testRedeemRace},
		{"RedeemRacesRevoke", testRedeemRacesRevoke},
		{"OpenStanding", testOpenStanding},
		{"OpenStandingRace", testOpenStandingRace},
		{"GrantPages", testGrantPages},
		{"Issue", testIssue},
		{"IssueRefused", testIssueRefused},
		{"IssueAfterRevoke", testIssueAfterRevoke},
		{"Rotate", testRotate},
		{"RotateRefused", testRotateRefused},
		{"RotateRace", testRotateRace},
		{"GrantMove", testGrantMove},
		{"NetworkKey", testNetworkKey},
		{"Marks", testMarks},
		{"Tokens", testTokens},
		{"IssueBatch", testIssueBatch},
		{"IssueBatchRefused", testIssueBatchRefused},
		{"IssueBatchRace", testIssueBatchRace},
		{"MintRequests", testMintRequests},
		{"Consume", testConsume},
		{"ConsumeRace", testConsumeRace},
		{"ConsumeRefused", testConsumeRefused},
		{"ConsumeSwept", testConsumeSwept},
		{"Tickets", testTickets},
		{"TicketBounds", testTicketBounds},
		{"TicketExpiry", testTicketExpiry},
		{"TicketSwap", testTicketSwap},
		{"TicketRaces", testTicketRaces},
		{"TicketsSwept", testTicketsSwept},
		{"RevokeToken", testRevokeToken},
		{"RevokeGrant", testRevokeGrant},
		{"RevokeSession", testRevokeSession},
		{"RevokeBrowser", testRevokeBrowser},
		{"RevokeAccount", testRevokeAccount},
		{"RevokeWithUpdate", testRevokeWithUpdate},
		{"RevokeClient", testRevokeClient},
		{"RevokeConsent", testRevokeConsent},
		{"RevokeTargets", testRevokeTargets},
		{"Log", testLog},
		{"LogLive", testLogLive},
		{"LogWait", testLogWait},
		{"LogUnderLoad", testLogUnderLoad},
		{"ChangeClaims", testChangeClaims},
		{"Policies", testPolicies},
		{"PolicyLog", testPolicyLog},
		{"PolicyRace", testPolicyRace},
		{"Keys", testKeys},
		{"KeysRace", testKeysRace},
		{"DataKeys", testDataKeys},
		{"DataKeysRace", testDataKeysRace},
		{"Sealed", testSealed},
		{"Reseal", testReseal},
		{"StepKeys", testStepKeys},
		{"StepKeysRefused", testStepKeysRefused},
		{"StepKeysRace", testStepKeysRace},
		{"StepKeysCompromise", testStepKeysCompromise},
		{"Events", testEvents},
		{"EventFailureFailsTheCall", testEventFailure},
		{"EventLog", testEventLog},
		{"EventLogWait", testEventLogWait},
		{"EventLogUnderLoad", testEventLogUnderLoad},
		{"Enqueue", testEnqueue},
		{"ClaimDeliveries", testClaimDeliveries},
		{"ClaimRace", testClaimRace},
		{"FinishDelivery", testFinishDelivery},
		{"SweepDeliveries", testSweepDeliveries},
		{"SweepEventLog", testSweepEventLog},
		{"Webhooks", testWebhooks},
		{"SealedOutbox", testSealedOutbox},
		{"SessionsEndedBy", testSessionsEndedBy},
		{"SweepTokens", testSweepTokens},
		{"SweepManyTokens", testSweepManyTokens},
		{"SweepRecords", testSweepRecords},
		{"SweepLog", testSweepLog},
		{"SweepEvents", testSweepEvents},
		{"Leases", testLeases},
		{"Notes", testNotes},
		{"Backlog", testBacklog},
		{"HostileValues", testHostileValues},
		{"ContextDone", testContextDone},
		{"Cancelled", testCancelled},
		{"Ready", testReady},
		{"Closed", testClosed},
		{"Model", testModel},
	}
	for _, test := range tests {
		if !wanted.MatchString(test.name) {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			test.run(&world{T: t, store: open(t), now: epoch, expiring: expiring})
		})
	}
}
