package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/jetonhq/jeton/client"
)

// exampleAuthority stands for an authority.
func exampleAuthority() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := `{"access_token":"an-access-token","token_type":"Bearer","expires_in":300,"scope":"reports:read"`
		if r.PostFormValue("grant_type") == "refresh_token" {
			answer += `,"refresh_token":"the-next-refresh-token"`
		}
		fmt.Fprintln(w, answer+"}")
	}))
}

// exampleAPI tells what it was sent.
func exampleAPI() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.URL.Path, r.Header.Get("Authorization"))
	}))
}

// A program that calls an API in its own name.
func ExampleCredentials() {
	authority, api := exampleAuthority(), exampleAPI()
	defer authority.Close()
	defer api.Close()

	tokens, err := client.Credentials(client.Config{
		Issuer: authority.URL,
		ID:     "reports-job",
		Secret: client.NewSecret("from the environment or a file"),
		Scope:  "reports:read",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	caller := &http.Client{Transport: &client.Transport{Source: tokens, Origins: []string{api.URL}}}
	resp, err := caller.Get(api.URL + "/reports")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output: /reports Bearer an-access-token
}

// A program that acts for a person. Other processes may use the same file at the same time.
func ExampleRefresh() {
	authority := exampleAuthority()
	defer authority.Close()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	store := client.NewFileStore(filepath.Join(dir, "sign-in.json"))

	tokens, err := client.Refresh(client.Config{Issuer: authority.URL, ID: "reports-cli", Store: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := tokens.Token(ctx); errors.Is(err, client.ErrSignInAgain) {
		fmt.Println("nobody is signed in")
	}

	// The refresh token comes from the authority, when the person has signed in.
	err = store.Save(ctx, client.SignIn{RefreshToken: client.NewSecret("a-refresh-token")})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := tokens.Token(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.Type, token.Scope, token.AccessToken)

	stored, err := store.Load(ctx)
	fmt.Println(stored.RefreshToken.Reveal(), err)
	// Output:
	// nobody is signed in
	// Bearer reports:read [redacted]
	// the-next-refresh-token <nil>
}
