// Package accounts owns people: who they are, how they prove it with a
// password, and the sessions that follow.
//
// A sign-in goes through [Service.SignIn]: the attempt is counted, the password
// is checked (the same work whether the login exists or not), and a session
// with a new id and a new cookie is stored. [Service.Session] turns the cookie
// back into the person. What ends sessions (sign-out, disabling, a new
// password) goes through the [authority.Revoker], because tokens end with them.
//
// Pages and cookies' attributes live in web, the rules of the authorization
// endpoint in flow; tokens are made in tokens only.
package accounts
