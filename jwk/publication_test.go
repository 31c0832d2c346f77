package jwk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jwk"
)

func memberKey(t *testing.T) *jwk.MemberKey {
	t.Helper()
	k, err := jwk.NewMemberKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func publication(version uint64, keys ...*jwk.Key) jwk.Publication {
	return jwk.Publication{
		Issuer: "https://id.example.com", Ring: "access", Version: version, Time: time.Unix(1_800_000_000, 0), Primary: keys[0].ID(), Keys: keys,
	}
}

func encode(t *testing.T, p jwk.Publication, members ...jwk.Member) []byte {
	t.Helper()
	b, err := p.Encode(members...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPublication_PublicKeys(t *testing.T) {
	p := publication(3, generate(t, jwk.ES256), generate(t, jwk.Ed25519))
	b := encode(t, p)
	if strings.Contains(string(b), `"d"`) {
		t.Errorf("a private part is published: %s", b)
	}
	got, err := jwk.ParsePublication(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != p.Issuer || got.Ring != p.Ring || got.Version != 3 || !got.Time.Equal(p.Time) || got.Primary != p.Primary || len(got.Keys) != 2 {
		t.Errorf("read back: %+v", got)
	}
	for i, k := range got.Keys {
		if k.ID() != p.Keys[i].ID() || k.Private() {
			t.Errorf("key %d: %v, private %v", i, k, k.Private())
		}
	}
}

func TestPublication_SharedSecretsAreForMembers(t *testing.T) {
	member, other, stranger := memberKey(t), memberKey(t), memberKey(t)
	p := publication(1, generate(t, jwk.HS256), generate(t, jwk.HS256))
	if _, err := p.Encode(); !errors.Is(err, jwk.ErrPrivateKey) {
		t.Errorf("without members: %v", err)
	}
	b := encode(t, p, member.Member(), other.Member())
	for _, k := range p.Keys {
		private, err := k.MarshalPrivate()
		if err != nil {
			t.Fatal(err)
		}
		var secret struct{ K string }
		if err := json.Unmarshal(private, &secret); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), secret.K) {
			t.Error("a secret is published in clear")
		}
	}
	for _, reader := range []*jwk.MemberKey{member, other} {
		got, err := jwk.ParsePublication(b, reader)
		if err != nil {
			t.Fatal(err)
		}
		message := []byte("m")
		mac, err := p.Keys[0].Sign(message)
		if err != nil {
			t.Fatal(err)
		}
		if got.Primary != p.Primary || got.Keys[0].Verify(message, mac) != nil {
			t.Error("a member cannot verify with the primary key")
		}
	}
	for name, reader := range map[string]*jwk.MemberKey{"a stranger": stranger, "nobody": nil} {
		if _, err := jwk.ParsePublication(b, reader); !errors.Is(err, jwk.ErrNotMember) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What was sealed for one version of one ring is worth nothing under another
// name, so that nobody who can only write to the node brings an old secret back.
func TestPublication_SealedPartIsBound(t *testing.T) {
	member := memberKey(t)
	b := string(encode(t, publication(1, generate(t, jwk.HS256)), member.Member()))
	for _, change := range [][2]string{
		{`"version":1`, `"version":2`},
		{`"ring":"access"`, `"ring":"fleet"`},
		{`"iss":"https://id.example.com"`, `"iss":"https://id.example.org"`},
		{`"primary":"`, `"primary":"x`},
	} {
		forged := strings.Replace(b, change[0], change[1], 1)
		if forged == b {
			t.Fatalf("%s is not in %s", change[0], b)
		}
		if _, err := jwk.ParsePublication([]byte(forged), member); !errors.Is(err, jwk.ErrMalformed) {
			t.Errorf("%s: %v", change[1], err)
		}
	}
}

func TestPublication_Refused(t *testing.T) {
	shared, err := generate(t, jwk.HS256).MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	private, err := generate(t, jwk.ES256).MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	const head = `{"format":1,"iss":"https://id.example.com","ring":"access","version":1,"iat":1,"primary":"a"`
	for name, text := range map[string]string{
		"empty":                   ``,
		"not an object":           `[]`,
		"another format":          `{"format":2,"iss":"i","ring":"r","version":1}`,
		"no keys":                 head + `}`,
		"shared secret in clear":  head + `,"keys":[` + string(shared) + `]}`,
		"private key in clear":    head + `,"keys":[` + string(private) + `]}`,
		"broken key":              head + `,"keys":[{"kty":"EC"}]}`,
		"version below zero":      strings.Replace(head, `"version":1`, `"version":-1`, 1) + `}`,
		"repeated member":         head + `,"ring":"other","keys":[]}`,
		"too large":               head + `,"x":"` + strings.Repeat("x", 600<<10) + `"}`,
		"keys and sealed secrets": head + `,"keys":[{}],"sealed":{"a":"b"}}`,
	} {
		if p, err := jwk.ParsePublication([]byte(text), nil); err == nil {
			t.Errorf("%s: taken as %+v", name, p)
		}
	}
	mixed := publication(1, generate(t, jwk.HS256), generate(t, jwk.ES256))
	if _, err := mixed.Encode(memberKey(t).Member()); !errors.Is(err, jwk.ErrMalformed) {
		t.Errorf("mixed ring: %v", err)
	}
}

func TestMemberKey(t *testing.T) {
	k := memberKey(t)
	secret, err := k.Secret()
	if err != nil {
		t.Fatal(err)
	}
	again, err := jwk.ParseMemberKey(secret + "\n")
	if err != nil || again.Member().ID() != k.Member().ID() {
		t.Fatalf("read back: %v, %v", again, err)
	}
	public, err := jwk.ParseMember(k.Member().String())
	if err != nil || public.ID() != k.Member().ID() {
		t.Fatalf("public half read back: %v, %v", public, err)
	}
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", *k), fmt.Sprintf("%+v", struct{ k *jwk.MemberKey }{k})} {
		if strings.Contains(text, secret[4:]) || strings.Contains(text, "jmk_") {
			t.Errorf("the secret is printed: %s", text)
		}
	}
	for _, text := range []string{"", "jm_", secret[:20], k.Member().String()} {
		if _, err := jwk.ParseMemberKey(text); !errors.Is(err, jwk.ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := jwk.ParseMember(secret); !errors.Is(err, jwk.ErrMalformed) {
		t.Errorf("a private key as a public one: %v", err)
	}
}

func FuzzParsePublication(f *testing.F) {
	f.Add([]byte(`{"format":1,"iss":"i","ring":"r","version":1,"iat":1,"primary":"a","keys":[]}`))
	f.Add([]byte(`{"format":1,"sealed":{"a":"AAAA"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := jwk.ParsePublication(b, nil)
		if err == nil && len(p.Keys) == 0 {
			t.Errorf("a publication without keys: %s", b)
		}
	})
}
