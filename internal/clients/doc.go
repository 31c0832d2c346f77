// Package clients owns apps and APIs: their registration, how they prove who
// they are, and where a browser may be sent back to.
//
// [ParseCredentials] reads what a request says about its client,
// [Service.Authenticate] decides whether it is true, [MatchRedirect] whether a
// redirect URI is one of the client's. Registration ([Service.Create] and its
// neighbours) lets nothing into the store that those three would have to doubt.
//
// Which grants a client may use is asked of [authority.Client] by grants; who
// may register is decided by whoever calls this package.
package clients
