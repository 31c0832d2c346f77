// Package server wires the authority together: it opens the store, the keys
// and the feed, hands each package its own few fields, mounts the routes and
// owns the life cycle. Open makes a server without listeners (tests and
// jetontest use its handlers), Run listens and serves until told to stop, Dev
// is Run with everything a newcomer needs beside it.
package server
