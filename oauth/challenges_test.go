package oauth_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetonhq/jeton/oauth"
)

func TestParseChallenges(t *testing.T) {
	for name, test := range map[string]struct {
		values []string
		want   []oauth.AuthChallenge
	}{
		"none":        {nil, nil},
		"bare scheme": {[]string{"Negotiate"}, []oauth.AuthChallenge{{"negotiate", map[string]string{}}}},
		"one": {[]string{`Bearer realm="api", error="invalid_token"`},
			[]oauth.AuthChallenge{{"bearer", map[string]string{"realm": "api", "error": "invalid_token"}}}},
		"tokens, case and space": {[]string{`bEaReR  ERROR = invalid_token ,, max_age=5`},
			[]oauth.AuthChallenge{{"bearer", map[string]string{"error": "invalid_token", "max_age": "5"}}}},
		"several in one value": {[]string{`Basic realm="a, b=\"c\"", DPoP algs="ES256", error=x, Negotiate`},
			[]oauth.AuthChallenge{{"basic", map[string]string{"realm": `a, b="c"`}}, {"dpop", map[string]string{"algs": "ES256", "error": "x"}}, {"negotiate", map[string]string{}}}},
		"several values": {[]string{`Bearer a=1`, `Bearer b=2`},
			[]oauth.AuthChallenge{{"bearer", map[string]string{"a": "1"}}, {"bearer", map[string]string{"b": "2"}}}},
		"the first of two":    {[]string{`Bearer a=1, a=2`}, []oauth.AuthChallenge{{"bearer", map[string]string{"a": "1"}}}},
		"no end of a quote":   {[]string{`Bearer a="1`}, []oauth.AuthChallenge{{"bearer", map[string]string{}}}},
		"parameter first":     {[]string{`a=1, Bearer b=2`}, nil},
		"text after a value":  {[]string{`Bearer a="1"b, c=2`}, []oauth.AuthChallenge{{"bearer", map[string]string{}}}},
		"quote in the middle": {[]string{`Bearer "a"`}, []oauth.AuthChallenge{{"bearer", map[string]string{}}}},
		"one bad value only":  {[]string{`"`, `Bearer a=1`}, []oauth.AuthChallenge{{"bearer", map[string]string{"a": "1"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, oauth.ParseChallenges(test.values)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What we write is read back, whatever is in it.
func FuzzParseChallenges(f *testing.F) {
	f.Add("invalid_token", "a b", "read write", `Basic realm="x"`)
	f.Fuzz(func(t *testing.T, code, description, scope, other string) {
		c := oauth.BearerChallenge{Realm: "r", Error: oauth.Code(code), Description: description, Scope: scope}
		got := oauth.ParseChallenges([]string{c.String(), other})
		if len(got) == 0 || got[0].Scheme != "bearer" {
			t.Fatalf("%q is read as %v", c.String(), got)
		}
		for name, value := range map[string]string{"error": code, "error_description": description, "scope": scope} {
			if got[0].Params[name] != oauth.Printable(value) {
				t.Errorf("%s %q is read as %q", name, value, got[0].Params[name])
			}
		}
		for _, c := range got {
			if c.Scheme == "" || c.Scheme != strings.ToLower(c.Scheme) {
				t.Errorf("scheme %q", c.Scheme)
			}
		}
	})
}

func TestSTE_1_ChallengeIsRead(t *testing.T) {
	age := 5 * time.Minute
	written := oauth.BearerChallenge{
		Error: oauth.InsufficientUserAuthentication, Description: "sign in", ACRValues: "urn:a urn:b", MaxAge: "300", Scope: "pay",
	}
	got, ok := oauth.StepUpOf([]string{`Basic realm="x"`, written.String()})
	if want := (oauth.StepUp{ACRValues: []string{"urn:a", "urn:b"}, MaxAge: &age, Scope: "pay"}); !ok || !cmp.Equal(got, want) {
		t.Errorf("%+v, %v, want %+v", got, ok, want)
	}
	request := url.Values{"scope": {"openid"}, "max_age": {"9"}}
	got.AddTo(request)
	if want := "acr_values=urn%3Aa+urn%3Ab&max_age=300&scope=openid"; request.Encode() != want {
		t.Errorf("asked for %s, want %s", request.Encode(), want)
	}

	for _, value := range []string{`Bearer error="invalid_token", max_age="300"`, `Bearer max_age="300"`, ""} {
		if got, ok := oauth.StepUpOf([]string{value}); ok {
			t.Errorf("%s is read as %+v", value, got)
		}
	}
	// An age that is none is not asked for.
	for _, age := range []string{"-1", "1.5", "soon", "99999999999"} {
		got, ok := oauth.StepUpOf([]string{`DPoP error=insufficient_user_authentication, max_age="` + age + `"`})
		if !ok || got.MaxAge != nil {
			t.Errorf("max_age %s is read as %+v, %v", age, got, ok)
		}
	}
	if got, ok := oauth.StepUpOf([]string{`Bearer error=insufficient_user_authentication, max_age=0`}); !ok || got.MaxAge == nil || *got.MaxAge != 0 {
		t.Errorf("max_age 0 is read as %+v, %v", got, ok)
	}
}

// An app whose request was refused sends the person to sign in again.
func ExampleStepUpOf() {
	refused := []string{`Bearer error="insufficient_user_authentication", acr_values="urn:jeton:pwd", max_age="300"`}
	query := url.Values{"response_type": {"code"}, "client_id": {"shop"}} // and the rest of the request
	if wants, ok := oauth.StepUpOf(refused); ok {
		wants.AddTo(query)
	}
	fmt.Println("/authorize?" + query.Encode())
	// Output: /authorize?acr_values=urn%3Ajeton%3Apwd&client_id=shop&max_age=300&response_type=code
}
