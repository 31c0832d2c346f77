// Package revocation carries the news that a token is dead from the authority to those who check tokens:
// the wire format of the feed, the [View] it fills, and the [Follower] that fills it. It uses the standard
// library only and imports nothing of ours, so that either end, or a program in between, can use it alone.
//
// The authority's store keeps a log of revocations. Its numbers (seq) start at 1 and have no gaps as a
// reader sees them. One life of the log has a name, its incarnation, a random string ([NewIncarnation]).
// Whatever may bring numbers back that were given before (a restored backup, above all) begins a new
// incarnation. A place in the log is a [Cursor], written "<incarnation>-<seq>".
//
// # Entries
//
// An entry is a JSON object:
//
//	{"seq":7,"kind":"token","id":"AZOdQ3jFcvyKz1mYq0sXbg","reason":"logout","until":1764000000}
//
//	seq     number in the log, required
//	kind    token, grant, session: refuse by "id"; key: refuse by "name" (the kid);
//	        grant_stale ("id"), policy ("name", "data"), keys: ride along
//	id      16 bytes as 22 characters of canonical unpadded base64url
//	name    an identifier of another form, at most 256 bytes
//	reason  a short code, at most 256 bytes
//	until   Unix seconds after which no token it could hit is valid; absent means never
//	data    any JSON value, at most 1 MiB
//
// An entry of kind keys names the ring that has changed. Data is {"version":…}, the number of the change, and
// for a ring whose keys are published "keys" as of a JWK set (RFC 7517): all that the ring has now.
//
// A receiver ignores members it does not know. A kind it does not know is a lower-case word of at most 32
// characters; the entry is counted like any other, and passed on as it came.
//
// # Stream
//
// GET with "Accept: text/event-stream" answers with server-sent events (WHATWG HTML section 9.2), without
// end. "Last-Event-ID: <incarnation>-<seq>" resumes after that place. Without it, or when the place is in
// another incarnation, is ahead of the log, or lies before what the log still has, the stream begins with a
// snapshot; otherwise with a delta, if anything has happened. Then deltas and heartbeats follow.
//
//		event: snapshot
//		data: {"incarnation":"k3v…","seq":41,"part":0,"end":false,"entries":[…]}
//
//		event: snapshot
//		id: k3v…-41
//		data: {"incarnation":"k3v…","seq":41,"part":1,"end":true,"entries":[…]}
//
//		event: delta
//		id: k3v…-43
//		data: [{"seq":42,…},{"seq":43,…}]
//
//		event: heartbeat
//		data: {"incarnation":"k3v…","seq":43,"time":1763999700123}
//
//	  - A snapshot is every live entry of the log, complete up to seq. Parts count from 0 and follow each
//	    other with nothing but heartbeats between; the last has "end":true and the event id. An empty one is a
//	    single part. Entries whose until is less than a minute ago still belong to it ([DefaultMargin]).
//	  - A delta holds entries with consecutive numbers; the first follows what the subscriber has. Its id is
//	    the number of its last entry.
//	  - A heartbeat says: my log is at seq, and everything up to seq stands before this line in this stream.
//	    It is sent every 500 ms, and at once after the snapshot or delta the stream begins with, since only
//	    it (and a snapshot) proves the receiver fresh. Time is the sender's clock in Unix milliseconds.
//	    A node whose own log may be behind sends no heartbeats.
//	  - Other events, and comments, are skipped. No event is longer than [MaxEvent].
//
// A receiver may say which keys it holds, in the request's header Jeton-Keys: their ids, at most 64, with
// spaces between. It begins a new connection when that changes.
//
// All bytes are the same for all subscribers, so they are encoded once ([AppendSnapshot], [AppendDelta],
// [AppendHeartbeat]). A subscriber that does not keep up is disconnected; it resumes and misses nothing.
//
// # Long poll
//
// For those who cannot stream, GET with "Accept: application/json" and the parameters
// "after=<incarnation>-<seq>" and "wait=30s" (a Go duration, at most 30 s) answers as soon as there is
// something after that place, or when the wait is over ([AppendPoll], [ParsePoll]):
//
//	{"incarnation":"k3v…","seq":43,"snapshot":false,"time":1763999700123,"entries":[…]}
//
// Without "after", or where a stream would begin with a snapshot, "snapshot" is true and the entries are all
// live ones. Otherwise they are consecutive and seq is the number of the last, or that of "after" when there
// are none; the rest of a long list is for the next poll.
//
// # What the receiver holds to
//
//   - Its place never moves past a number it has not had. A missing number, a delta of another incarnation,
//     or a heartbeat ahead of its place ends the connection; it resumes from its place, and when that has
//     failed twice, without one, which brings a snapshot.
//   - A revocation is never taken back, so the set only grows, and shrinks by expiry. A snapshot adds; what
//     it does not have stays until it expires. No reload has a moment in which a dead id is missing.
//   - An entry is forgotten when until, plus a margin, has passed on the receiver's clock and on the
//     authority's.
//   - Fresh is what a heartbeat at exactly the receiver's place, or a snapshot, has proven, from the moment
//     it arrived, by the receiver's monotonic clock. A stalled connection therefore makes the view stale.
//   - Silence of two seconds ends the connection. What arrives after a longer silence is not trusted: it may
//     have lain in a buffer.
package revocation
