// Package seen remembers tokens that have been verified, so that the next request with the same token costs
// a lookup and no signature check. The guard uses it, and the authority's introspection.
//
// A token is found by a keyed hash of all of it (the key is random per cache and never leaves it) and then
// compared in full. Nothing shorter is safe: a signature can be attached to another payload, and whoever may
// pick tokens can pick two with the same unkeyed short hash.
//
// The cache is bounded in entries and in bytes. It has no goroutine: entries that have expired are never
// answered, and are removed in small steps by those who add others. Reading takes no lock and allocates
// nothing. The work of adding is bounded too, apart from a shard's table that doubles now and then.
//
// Layout: the top bits of the hash choose a shard, other bits two buckets of the shard's table. A bucket is
// one cache line: eight bits of the hash for each of its seven ways, and seven pointers.
//
//	shard ── table ── bucket  tags │ way 0 │ way 1 │ … │ way 6
//	                                   └── Entry: hash, token, expires, epoch, asked, value │ text of the token
//
// What makes an answer right stands in the entry, which does not change apart from its two marks. A reader
// that meets a table or bucket in the middle of a change can miss an entry, never get a wrong one.
package seen
