package jwt_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwt"
)

func Example() {
	key, err := jwk.Generate(jwk.ES256)
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := jwt.Sign(key, "at+jwt", jwt.Claims{
		Issuer:    "https://id.example.com",
		Subject:   "248289761001",
		Audience:  []string{"https://api.example.com"},
		ClientID:  "web",
		IssuedAt:  time.Now().Unix(),
		ExpiresAt: time.Now().Add(5 * time.Minute).Unix(),
		ID:        "AZqO7n9Bf4G2oR8mYw1cZA",
		Scope:     "reports:read",
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	keys, err := jwk.NewSet(key.Public()) // elsewhere: jwk.NewRemoteSet
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := jwt.NewVerifier(jwt.Config{
		Profile:    jwt.AccessToken,
		Issuer:     "https://id.example.com",
		Audience:   []string{"https://api.example.com"},
		Algorithms: []jwk.Algorithm{jwk.ES256},
		Keys:       keys,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	verified, err := verifier.Verify(context.Background(), token)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(verified.Claims.Subject, verified.Claims.HasScope("reports:read"))

	_, err = verifier.Verify(context.Background(), token+"AAAA")
	fmt.Println(jwt.ReasonOf(err))
	// Output:
	// 248289761001 true
	// bad_signature
}

func ExampleClaims_Decode() {
	key, err := jwk.Generate(jwk.Ed25519)
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := jwt.Sign(key, "", map[string]any{"sub": "1", "roles": []string{"reader"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	unverified, err := jwt.Parse(token, 0) // for looking only: nothing has been checked
	if err != nil {
		fmt.Println(err)
		return
	}
	var own struct {
		Roles []string `json:"roles"`
	}
	fmt.Println(unverified.Claims.Decode(&own), own.Roles)
	// Output: <nil> [reader]
}

func ExampleHalfHash() {
	fmt.Println(jwt.HalfHash(jwk.RS256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"))
	// Output: 77QmUPtjPfzWtF2AnpK9RQ
}
