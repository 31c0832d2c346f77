// Package bff is the server side of a browser app ("backend for frontend"): it signs people in, keeps their tokens,
// and gives the browser a session cookie and nothing else (RFC 10017 section 6.1).
//
//	app, err := bff.New(bff.Config{
//		Issuer:       "https://id.example.com",
//		ClientID:     "shop",
//		ClientSecret: client.NewSecret(os.Getenv("SHOP_SECRET")),
//		PublicURL:    "https://shop.example.com",
//		Scope:        "openid profile orders",
//		Upstreams:    []bff.Upstream{{Path: "/api/", URL: "https://orders.internal.example.com"}},
//	})
//	mux.Handle("/auth/", app) // sign-in, callback, session, sign-out, back-channel
//	mux.Handle("/api/", app)  // passed on, with the access token
//
// A page sends the browser to /auth/sign-in, asks /auth/session who is signed in, calls /api/ as if it were its own,
// and posts to /auth/sign-out. Handlers in the same program can be guarded instead of passed on: [App.Sessions] goes
// into [jeton.Config], and [jeton.AllowCookie] on the route.
//
// # Sessions
//
// The cookie holds 256 random bits, and the [Store] only their digest; what is stored is sealed with [Config.Keys].
// Signing in makes a new id. A session ends when it was not used for a while, a day after it began, when the person
// signs out here, when the authority says so ([App.BackChannelURI]), or when the authority answers a refresh with
// invalid_grant. It ends for no other reason: while the authority is down the access token is used as long as it
// lasts, and then requests are answered with 503, and with the same cookie afterwards as before. No answer but that to
// a sign-out takes the cookie away.
//
// # One refresh at a time
//
// An access token is replaced some time before it expires. However many requests there are, one refresh is under way
// per session: within a program the others wait for it or use the token that is still good, and between servers that
// share a store one of them takes a lease, by compare and swap on the session. What the authority answers is stored
// before it is used. A server that is killed in between leaves the predecessor of the current refresh token behind,
// which the authority answers with the same successor again.
//
// # Forged requests
//
// Browsers send cookies by themselves. The cookie is SameSite=Lax, and requests that change something have to come
// from a page of the app's own origin ([http.CrossOriginProtection]). Handlers of GET behind the app must change
// nothing.
package bff
