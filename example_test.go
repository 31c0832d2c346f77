package jeton_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/jetonhq/jeton"
)

func Example() {
	guard, err := jeton.NewGuard(jeton.Config{
		Issuer:   "https://id.example.com",
		Audience: "https://api.example.com",
		Client:   jeton.ClientSecret("reports-api", os.Getenv("REPORTS_API_SECRET")),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = guard.Close() }()

	reports := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := jeton.FromContext(r.Context())
		fmt.Fprintf(w, "the reports of %s, read by %s\n", token.Subject, token.ClientID)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /reports", guard.Require(reports, jeton.Scope("reports:read"), jeton.MaxAge(5*time.Minute)))
	mux.Handle("GET "+guard.MetadataPath(), guard.Metadata())
	log.Fatal(http.ListenAndServe("127.0.0.1:8081", mux))
}

// A route says what it does when the guard cannot know what was revoked.
func ExampleFail() {
	var guard *jeton.Guard // of jeton.NewGuard
	var pay, menu http.Handler
	mux := http.NewServeMux()
	mux.Handle("POST /payments", guard.Require(pay, jeton.Scope("pay"), jeton.Fail(jeton.Closed), jeton.MaxStaleness(time.Second)))
	mux.Handle("GET /menu", guard.Require(menu, jeton.Fail(jeton.Open), jeton.SkipRegistry()))
}

// Outside of HTTP, a token is checked by hand.
func ExampleGuard_Check() {
	var guard *jeton.Guard // of jeton.NewGuard
	receive := func(r *http.Request, text string) error {
		token, err := guard.Check(r.Context(), text, jeton.Scope("messages:write"))
		if refusal, ok := errors.AsType[*jeton.Refusal](err); ok {
			return fmt.Errorf("refused: %s (as HTTP: %d)", refusal.Reason, refusal.Status)
		}
		fmt.Println("from", token.Subject)
		return nil
	}
	_ = receive
}

// Every way of being refused, for example for a page of documentation.
func ExampleReasons() {
	for _, reason := range jeton.Reasons()[:2] {
		fmt.Println(reason.Status, reason.Code)
	}
	// Output:
	// 401 missing_token
	// 400 malformed_request
}
