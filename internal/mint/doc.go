// Package mint decides what a client may mint for itself, its service accounts
// and people (DESIGN section 6). A batch goes through here whole: each request
// is held against the client's policy, what is allowed is signed and committed
// by internal/tokens in one commit, and what is refused is recorded.
//
// A person's token never comes from here without naming who acts and why, never
// with a refresh token or a sign-in's time, and always under a grant that the
// person's list of grants shows and that can be ended there.
package mint
