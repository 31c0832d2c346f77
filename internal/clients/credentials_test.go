package clients_test

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

func basic(id, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(password)))
}

func TestTOK_6_V_12_Basic(t *testing.T) {
	for _, test := range []struct{ name, header, id, secret string }{
		{"plain", "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3", "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"},
		{
			"form-encoded", "Basic aHR0cHMlM0ElMkYlMkZhcHAuZXhhbXBsZS5jb20lMkZjOnAlMkJhJTJGcytzJTNBdyUyNSVDMyVBOQ==",
			"https://app.example.com/c", "p+a/s s:w%é",
		},
		{"scheme in lower case", "basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3", "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"},
		{"scheme in upper case", "BASIC  czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3", "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"},
		{"second colon", "Basic " + base64.StdEncoding.EncodeToString([]byte("a:b:c")), "a", "b:c"},
		{"empty secret", "Basic " + base64.StdEncoding.EncodeToString([]byte("a:")), "a", ""},
	} {
		got, err := clients.ParseCredentials([]string{test.header}, nil)
		if err != nil || got.Method != oauth.ClientSecretBasic || got.ID != test.id || got.Secret.Reveal() != test.secret {
			t.Errorf("%s: id %q, %v", test.name, got.ID, err)
		}
	}
}

func TestTOK_6_Post(t *testing.T) {
	got, err := clients.ParseCredentials(nil, url.Values{"client_id": {"a"}, "client_secret": {"s+%20 é"}})
	if err != nil || got.Method != oauth.ClientSecretPost || got.ID != "a" || got.Secret.Reveal() != "s+%20 é" {
		t.Errorf("post: %+v, %v", got, err)
	}
	got, err = clients.ParseCredentials(nil, url.Values{"client_id": {"a"}})
	if err != nil || got.Method != oauth.NoAuthentication || got.ID != "a" || !got.Secret.Empty() {
		t.Errorf("id alone: %+v, %v", got, err)
	}
	// GEN-2: an empty value counts as absent.
	got, err = clients.ParseCredentials([]string{basic("a", "s")}, url.Values{"client_id": {""}, "client_secret": {""}, "client_assertion": {""}})
	if err != nil || got.Method != oauth.ClientSecretBasic {
		t.Errorf("Basic and empty parameters: %+v, %v", got, err)
	}
	got, err = clients.ParseCredentials([]string{basic("a", "s")}, url.Values{"client_id": {"a"}})
	if err != nil || got.ID != "a" {
		t.Errorf("Basic and the same client_id: %+v, %v", got, err)
	}
}

func TestTOK_3_TwoAuthMethods(t *testing.T) {
	for name, test := range map[string]struct {
		headers []string
		form    url.Values
	}{
		"Basic and secret":       {[]string{basic("a", "s")}, url.Values{"client_id": {"a"}, "client_secret": {"s"}}},
		"Basic and secret alone": {[]string{basic("a", "s")}, url.Values{"client_secret": {"s"}}},
		"Basic and assertion":    {[]string{basic("a", "s")}, url.Values{"client_assertion": {"x.y.z"}}},
		"secret and assertion":   {nil, url.Values{"client_id": {"a"}, "client_secret": {"s"}, "client_assertion": {"x.y.z"}}},
		"Bearer and secret":      {[]string{"Bearer x"}, url.Values{"client_id": {"a"}, "client_secret": {"s"}}},
		"two headers":            {[]string{basic("a", "s"), basic("a", "s")}, nil},
		"GEN-3 two client_id":    {nil, url.Values{"client_id": {"a", "a"}}},
		"GEN-3 two secrets":      {nil, url.Values{"client_id": {"a"}, "client_secret": {"s", ""}}},
	} {
		_, err := clients.ParseCredentials(test.headers, test.form)
		if got := oauth.CodeOf(err); got != oauth.InvalidRequest {
			t.Errorf("%s: %v, want invalid_request", name, err)
		}
	}
}

func TestTOK_4_Refused(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	for name, test := range map[string]struct {
		headers []string
		form    url.Values
	}{
		"nothing":                   {nil, nil},
		"secret without client":     {nil, url.Values{"client_secret": {"s"}}},
		"client_id of another":      {[]string{basic("a", "s")}, url.Values{"client_id": {"b"}}},
		"client_id in another case": {[]string{basic("a", "s")}, url.Values{"client_id": {"A"}}},
		"assertion alone":           {nil, url.Values{"client_assertion": {"x.y.z"}}},
		"Bearer":                    {[]string{"Bearer abc"}, url.Values{"client_id": {"a"}}},
		"scheme alone":              {[]string{"Basic"}, nil},
		"no scheme":                 {[]string{b64([]byte("a:s"))}, nil},
		"not base64":                {[]string{"Basic a:s"}, nil},
		"base64url":                 {[]string{"Basic " + base64.URLEncoding.EncodeToString([]byte("a:\xff\xfe\xfd"))}, nil},
		"no padding":                {[]string{"Basic " + strings.TrimRight(b64([]byte("a:s7")), "=")}, nil},
		"trailing bits":             {[]string{"Basic YTpzNx=="}, nil},
		"line end inside":           {[]string{"Basic YT\npz"}, nil},
		"no colon":                  {[]string{"Basic " + b64([]byte("as"))}, nil},
		"no id":                     {[]string{"Basic " + b64([]byte(":s"))}, nil},
		"half an escape":            {[]string{"Basic " + b64([]byte("a:s%4"))}, nil},
		"escape in the id":          {[]string{"Basic " + b64([]byte("a%zz:s"))}, nil},
	} {
		got, err := clients.ParseCredentials(test.headers, test.form)
		if oauth.CodeOf(err) != oauth.InvalidClient || got != (clients.Credentials{}) {
			t.Errorf("%s: %v, want invalid_client", name, err)
		}
	}
}

// Whatever is accepted reads the same when it is encoded again; whatever is not
// is a refusal of the protocol that repeats nothing of the input.
func FuzzBasic(f *testing.F) {
	f.Add("Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3", "")
	f.Add("Basic aHR0cHMlM0ElMkYlMkZhcHAuZXhhbXBsZS5jb20lMkZjOnAlMkJhJTJGcytzJTNBdyUyNSVDMyVBOQ==", "https://app.example.com/c")
	f.Add("basic YTo=", "b")
	f.Add("Basic YT\npz", "")
	f.Add("Bearer secret-token-value", "a")
	f.Fuzz(func(t *testing.T, header, formID string) {
		got, err := clients.ParseCredentials([]string{header}, url.Values{"client_id": {formID}})
		if err != nil {
			e, ok := errors.AsType[*oauth.Error](err)
			if !ok || e.Code != oauth.InvalidClient || got != (clients.Credentials{}) {
				t.Fatalf("err = %v", err)
			}
			if len(header) > 12 && strings.Contains(err.Error(), header[len(header)-8:]) && !strings.Contains("client authentication failed: the Authorization header has another scheme than Basic, no client_id, credentials are malformed", header[len(header)-8:]) {
				t.Fatalf("the refusal repeats the header: %v", err)
			}
			return
		}
		if got.Method == oauth.NoAuthentication && header == "" && got.ID == formID {
			return
		}
		if got.Method != oauth.ClientSecretBasic || got.ID == "" || formID != "" && formID != got.ID {
			t.Fatalf("accepted as %+v with client_id %q", got, formID)
		}
		again, err := clients.ParseCredentials([]string{basic(got.ID, got.Secret.Reveal())}, nil)
		if err != nil || again.ID != got.ID || !secret.Equal([]byte(again.Secret.Reveal()), []byte(got.Secret.Reveal())) {
			t.Fatalf("encoded again: id %q, %v; want %q", again.ID, err, got.ID)
		}
	})
}
