package jeton

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

var update = flag.Bool("update", false, "rewrite docs/reasons.md")

const reasonsPage = "docs/reasons.md"

// The page that explains the codes says what the code does.
func TestReasons_Page(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Reasons

Why the guard refused: the value of the header ` + "`Jeton-Reason`" + `, of ` + "`reason`" + ` in the JSON body, and of
` + "`Refusal.Reason`" + ` in Go. The codes are stable. ` + "`error`" + ` is the code of the protocol, in the body and in
` + "`WWW-Authenticate`" + ` (RFC 6750 section 3.1); the challenge to a request without a token has none.

This page is written by ` + "`go test . -run TestReasons_Page -update`" + ` from ` + "`reasons.go`" + `.

| reason | status | error | what it means | what the client should do |
|---|---|---|---|---|
`)
	for _, r := range Reasons() {
		fmt.Fprintf(&b, "| `%s` | %d | `%s` | %s | %s |\n", r.Code, r.Status, r.Error, r.Means, r.Advice)
	}
	if *update {
		if err := os.WriteFile(reasonsPage, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(reasonsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Errorf("%s is not what reasons.go says: run the test with -update", reasonsPage)
	}
}

func TestReasons_Table(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range Reasons() {
		if seen[r.Code] {
			t.Errorf("%s stands there twice", r.Code)
		}
		seen[r.Code] = true
		for _, text := range []string{r.Means, string(r.Error)} {
			// RFC 6750 section 3: what may stand in a challenge.
			if oauth.Printable(text) != text {
				t.Errorf("%s: %q cannot stand in a challenge", r.Code, text)
			}
		}
		if r.Means == "" || r.Advice == "" || r.Error == "" || r.Status < 400 {
			t.Errorf("%s is incomplete", r.Code)
		}
	}
	// What the verifier of access tokens can say is in the table.
	for _, reason := range []string{
		jwt.ReasonMalformed, jwt.ReasonWrongType, jwt.ReasonWrongAlgorithm, jwt.ReasonUnknownKey, jwt.ReasonKeysUnavailable,
		jwt.ReasonBadSignature, jwt.ReasonWrongIssuer, jwt.ReasonWrongAudience, jwt.ReasonExpired, jwt.ReasonNotYetValid,
		jwt.ReasonIssuedInFuture, jwt.ReasonTooOld, jwt.ReasonMissingClaim,
	} {
		if !seen[reason] {
			t.Errorf("%s of package jwt is not in the table", reason)
		}
	}
}
