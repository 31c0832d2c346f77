// Package client gets access tokens for programs and keeps them good.
//
// A program that acts in its own name asks with its credentials:
//
//	tokens, err := client.Credentials(client.Config{
//		Issuer: "https://id.example.com",
//		ID:     "reports-job",
//		Secret: client.NewSecret(os.Getenv("REPORTS_JOB_SECRET")),
//		Scope:  "reports:read",
//	})
//	api := &http.Client{Transport: &client.Transport{Source: tokens, Origins: []string{"https://api.example.com"}}}
//
// A program that acts for a person who signed in uses a refresh token, see [Refresh].
//
// # When a token is replaced
//
// A [Keeper] makes one request at a time, however many goroutines ask. Some time before a token expires, the
// next call of [Keeper.Token] starts a refresh and returns the token it has: whoever can be given a good
// token never waits. A failed refresh costs nothing but the attempt. The token is served until it expires,
// and attempts go on with growing pauses. Nothing runs while nobody asks, so there is nothing to close.
//
// An API can refuse a token that has not expired, for example with refresh_needed after the person's profile
// changed. [Transport] then calls [Keeper.Refresh] with the refused token. If that one has been replaced
// meanwhile, its successor is returned as it is: a hundred refusals of one token are one refresh.
//
// # Refresh tokens shared between processes
//
// With a [FileStore], any number of processes use one sign-in. They take turns by a lock, and whoever gets it
// reads the file again first: if another process has refreshed, its tokens are used and no request is made.
//
// Refresh tokens are used once, and an old one that comes back is taken for stolen. What makes that safe for
// a program that can be killed at any moment is a promise of the authority: the token before the current one
// gets the same successor again, until that successor is used. So the order is request, write, fsync, use. A
// crash or a lost answer leaves the old token in the file, and the old token is still good for the way on.
// For that reason also, a refresh token that could not be written is forgotten: using it would make the one
// in the file two generations old. Under the refresh policy strict the promise ends after ten seconds;
// tolerant is the policy made for programs that share a file.
//
// # Tokens that are bound to a key
//
// With a key ([Config.Key], DPoP) the tokens are worth nothing to a thief who does not have it. Each request to the
// authority, and each that a [Transport] sends to an API, carries a proof that the key made for it; a demand for a
// nonce is followed once. The key of a sign-in is kept in the store with its tokens, so that every process that
// shares them can use them.
//
// # Secrets
//
// Tokens and client secrets have type [Secret], which does not print. No error of this package contains one.
package client
