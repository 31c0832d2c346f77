package jeton

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/oauth"
)

var update = flag.Bool("update", false, "rewrite docs/reasons.md")

const reasonsPage = "docs/reasons.md"

// sections are the parts of the page.
var sections = []struct {
	at    oauth.Place
	title string
	intro string
}{
	{oauth.AtAPI, "Refused by an API", "A guard, the [agent](agent.md), and the authority's own `/userinfo`. The code is in the header `Jeton-Reason`, in `reason` of the JSON\n" +
		"body, in `Refusal.Reason` in Go and in the trailer `jeton-reason` of gRPC. The same codes say why a token is not active: `POST /consume`,\n" +
		"`POST /registry/check`, and, in the header, `POST /introspect` where the caller is the token's client or the API it is for."},
	{oauth.AtAuthority, "Refused by the authority", "`/token`, `/revoke`, `/introspect`, `/mint` and what else clients call with their credentials. The code is in `Jeton-Reason` and in `reason`\n" +
		"of the JSON body; in Go `oauth.ReasonOf(err)` has it, for errors of package `client`. Nobody is told more than a generic code before\n" +
		"they have shown a token of ours that belongs to them."},
	{oauth.AtMint, "Items of a batch", "`error` of an item in the answer of `POST /mint`. The others of the batch are not concerned, unless it is all or nothing."},
}

// The page that explains the codes says what the code does.
func TestReasons_Page(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Reasons

Why something was refused, in one stable code. ` + "`error`" + ` beside it is the code of the protocol, which says less.

| what to do | means |
|---|---|
| refresh | another token may be accepted: refresh, or ask for a new one, once |
| sign in again | only the person can help |
| ask for scope | with another scope it may work |
| retry | nothing is wrong with the request; send it again, after ` + "`Retry-After`" + ` if there is one |
| give up | the same again is refused again; the last column says what to mend |

This page is written by ` + "`go test . -run TestReasons_Page -update`" + ` from the table in package ` + "`oauth`" + `.
`)
	for _, section := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", section.title, section.intro)
		columns, line := "| reason |", "|---|"
		if section.at != oauth.AtMint {
			columns, line = columns+" status | error | challenge |", line+"---|---|---|"
		}
		fmt.Fprintf(&b, "%s what it means | do | in short |\n%s---|---|---|\n", columns, line)
		for _, r := range oauth.Reasons(section.at) {
			fmt.Fprintf(&b, "| `%s` |", r.Code)
			if section.at != oauth.AtMint {
				fmt.Fprintf(&b, " %d | `%s` | %s |", r.Status, r.Error, challengeOf(r))
			}
			fmt.Fprintf(&b, " %s | %s | %s |\n", r.Means, r.Then, r.Advice)
		}
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
		t.Errorf("%s is not what the table says: run the test with -update", reasonsPage)
	}
}

// challengeOf is what WWW-Authenticate has besides the error, as the guard writes it.
func challengeOf(r Reason) string {
	if r.At == oauth.AtAuthority {
		if r.Error == oauth.InvalidClient {
			return "Basic"
		}
		return ""
	}
	g := &Guard{config: Config{Realm: "api", PublicURL: "https://api.example.com"}, proofs: &proofs{names: []string{"ES256"}}}
	refusal := *refuse(r.Code)
	refusal.ACRValues, refusal.MaxAge = []string{"a"}, 1e9
	written := oauth.ParseChallenges(g.challenges(&refusal, []string{"s"}))
	if len(written) == 0 {
		return ""
	}
	says := map[string]string{"bearer": "Bearer", "dpop": "DPoP"}[written[0].Scheme]
	if len(written) == 2 {
		says = "Bearer and DPoP"
	}
	for _, name := range []string{"scope", "acr_values", "max_age"} {
		if written[0].Params[name] != "" {
			says += ", `" + name + "`"
		}
	}
	return says
}

func TestReasons_Table(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range slices.Concat(oauth.Reasons(oauth.AtAPI), oauth.Reasons(oauth.AtAuthority), oauth.Reasons(oauth.AtMint)) {
		if seen[string(r.At)+r.Code] {
			t.Errorf("%s stands there twice", r.Code)
		}
		seen[string(r.At)+r.Code] = true
		for _, text := range []string{r.Means, string(r.Error)} {
			// RFC 6750 section 3: what may stand in a challenge.
			if oauth.Printable(text) != text {
				t.Errorf("%s: %q cannot stand in a challenge", r.Code, text)
			}
		}
		if r.Means == "" || r.Advice == "" || r.Then == "" || r.At != oauth.AtMint && (r.Error == "" || r.Status < 400) {
			t.Errorf("%s is incomplete", r.Code)
		}
	}
	// What the verifier of access tokens can say is in the table.
	for _, reason := range []string{
		jwt.ReasonMalformed, jwt.ReasonWrongType, jwt.ReasonWrongAlgorithm, jwt.ReasonUnknownKey, jwt.ReasonKeysUnavailable,
		jwt.ReasonBadSignature, jwt.ReasonWrongIssuer, jwt.ReasonWrongAudience, jwt.ReasonExpired, jwt.ReasonNotYetValid,
		jwt.ReasonIssuedInFuture, jwt.ReasonTooOld, jwt.ReasonMissingClaim,
	} {
		if !seen[string(oauth.AtAPI)+reason] {
			t.Errorf("%s of package jwt is not in the table", reason)
		}
	}
}
