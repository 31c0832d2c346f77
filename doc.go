// Package jeton guards HTTP APIs: it checks access tokens where they arrive, without a call per request, and
// still refuses within a second what was revoked or never issued.
//
//	guard, err := jeton.NewGuard(jeton.Config{
//		Issuer:   "https://id.example.com",
//		Audience: "https://api.example.com",
//		Client:   jeton.ClientSecret("reports-api", os.Getenv("REPORTS_API_SECRET")),
//	})
//	mux.Handle("GET /reports", guard.Require(reports, jeton.Scope("reports:read"), jeton.MaxAge(5*time.Minute)))
//
// A handler behind the guard has the token from [FromContext]. Everything else is a plain http.Handler, so it
// works under any router.
//
// # What a check does
//
// A token that was seen before is found by all of its text; if nothing has been revoked since, only its times
// and the route's demands are left to look at. A token seen for the first time goes through, in this order:
// strict parsing, the issuer's keys, signature, claims (RFC 9068), the view of what was revoked, and one
// question to the authority: did you issue this? Questions that wait are asked together. Then come the
// demands.
//
// What was revoked arrives by a feed that the guard follows in the background (package revocation). If the
// feed is silent for longer than [Config.MaxStaleness], the view is not trusted: a route then asks the
// authority for the token and keeps the answer for a second ([Introspect]), refuses ([Closed]), or goes on
// with what it knows ([Open]). Nothing here needs the authority to be up when the program starts.
//
// A guard without credentials can follow no feed and ask nothing. It works on signatures and expiry alone and
// says so, once in the log and always in [Guard.Mode].
//
// # Refusals
//
// Every refusal is a [*Refusal] with a stable code; [Reasons] lists them with status and advice. Over HTTP it
// becomes a status, WWW-Authenticate (RFC 6750), the header Jeton-Reason, and a small JSON body.
//
// # Addresses
//
// The guard uses <issuer>/jwks, <issuer>/revocations and <issuer>/registry/check, and does not read the
// authority's metadata: a start without a round trip cannot fail or wait, and whoever could alter a
// discovery document cannot move the keys. Another layout is set in [Config].
//
// # Time
//
// A token is refused from the second of its exp on, also when it was seen before. The guard reads the
// monotonic clock for each check and aligns it with the wall clock every 50 ms: a wall clock that was stepped
// is followed that much later.
package jeton
