package oauth_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/oauth"
)

func TestPK_1_ChallengeVector_V1(t *testing.T) {
	const verifier, want = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	if got := oauth.Challenge(verifier); got != want {
		t.Fatalf("Challenge = %q, want %q", got, want)
	}
	if !oauth.VerifierMatches(verifier, want) {
		t.Fatal("the vector does not match its challenge")
	}
	// V-11: the last character changed to one that a lax decoder reads alike.
	if oauth.VerifierMatches(verifier[:42]+"l", want) {
		t.Fatal("another verifier matches")
	}
}

func TestPK_4_VerifierSyntax(t *testing.T) {
	for name, v := range map[string]string{
		"42 characters":  strings.Repeat("a", 42),
		"129 characters": strings.Repeat("a", 129),
		"plus":           strings.Repeat("a", 42) + "+",
		"slash":          strings.Repeat("a", 42) + "/",
		"padding":        strings.Repeat("a", 43) + "=",
		"not ASCII":      strings.Repeat("a", 42) + "é",
	} {
		if oauth.VerifierMatches(v, oauth.Challenge(v)) {
			t.Errorf("%s: a verifier of the wrong syntax matches its own hash", name)
		}
	}
}

func TestGEN_8_ScopeSyntax(t *testing.T) {
	for s, want := range map[string]oauth.Scope{
		"":          nil,
		"read":      {"read"},
		"b a b":     {"b", "a"},
		"a:b/c!#[]": {"a:b/c!#[]"},
	} {
		got, ok := oauth.ParseScope(s)
		if !ok || !cmp.Equal(got, want) {
			t.Errorf("ParseScope(%q) = %v, %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{" ", "a  b", " a", "a ", `a"b`, `a\b`, "a\tb", "é", "a\x7f"} {
		if got, ok := oauth.ParseScope(s); ok {
			t.Errorf("ParseScope(%q) = %v, want refused", s, got)
		}
	}
}

func TestRS_5_ChallengeCannotBeBrokenOutOf(t *testing.T) {
	c := oauth.BearerChallenge{Error: oauth.InvalidToken, Description: "a\"b\\c\r\nX: y", Scope: "read"}
	got := c.String()
	if want := `Bearer realm="api", error="invalid_token", error_description="a b c  X: y", scope="read"`; got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestMD_1_InsertWellKnown(t *testing.T) {
	for url, want := range map[string]string{
		"https://h":        "https://h/.well-known/oauth-authorization-server",
		"https://h/":       "https://h/.well-known/oauth-authorization-server",
		"https://h/t1":     "https://h/.well-known/oauth-authorization-server/t1",
		"https://h:1/a/b/": "https://h:1/.well-known/oauth-authorization-server/a/b",
	} {
		if got := oauth.InsertWellKnown(url, oauth.WellKnownServer); got != want {
			t.Errorf("InsertWellKnown(%q) = %q, want %q", url, got, want)
		}
	}
}

func TestINT_3_InactiveHasNoOtherMember(t *testing.T) {
	b, err := json.Marshal(oauth.Introspection{})
	if err != nil || string(b) != `{"active":false}` {
		t.Fatalf("got %s, %v", b, err)
	}
	b, _ = json.Marshal(oauth.Introspection{Active: true, Audience: oauth.Audience{"a"}, ExpiresAt: 5})
	if string(b) != `{"active":true,"exp":5,"aud":"a"}` {
		t.Fatalf("got %s", b)
	}
}
