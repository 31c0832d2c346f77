package bff_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/jetonhq/jeton/bff"
	"github.com/jetonhq/jeton/client"
)

// A server for a browser app that calls one API.
func Example() {
	app, err := bff.New(bff.Config{
		Issuer:       "https://id.example.com",
		ClientID:     "shop",
		ClientSecret: client.NewSecret(os.Getenv("SHOP_SECRET") + "secret"),
		PublicURL:    "https://shop.example.com",
		Scope:        "openid profile reports:read",
		Claims:       []string{"name"},
		Upstreams:    []bff.Upstream{{Path: "/api/", URL: "https://api.example.com"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close()
	mux := http.NewServeMux()
	mux.Handle("/auth/", app)
	mux.Handle("/api/", app)
	mux.Handle("/", http.FileServer(http.Dir("public")))

	for _, path := range []string{"/auth/session", "/api/reports"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		fmt.Print(w.Code, " ", w.Header().Get("Jeton-Reason"), " ", w.Body)
	}
	fmt.Println("register", app.RedirectURI())
	// Output:
	// 200  {"signed_in":false}
	// 401 no_session {"error":"invalid_token","error_description":"The session cookie is missing, has expired, or was signed out.","reason":"no_session"}
	// register https://shop.example.com/auth/callback
}
