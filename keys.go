package jeton

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/revocation"
)

// maxReported bounds what a guard tells of its keys.
const maxReported = 64

// introduce adds the credential to a request for the feed, and the ids of the keys that this guard holds: an
// operator who lets a key take over can see who could not verify with it yet.
func (g *Guard) introduce(r *http.Request) error {
	if ids := g.heldKeys(); ids != "" {
		r.Header.Set(revocation.KeysHeader, ids)
	}
	return g.config.Client.authorize(r)
}

func (g *Guard) heldKeys() string {
	set := g.keys.Held()
	if set == nil {
		return ""
	}
	var ids []string
	for _, k := range set.All() {
		if id := k.ID(); len(ids) < maxReported && len(id) <= 64 && !strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), " ")
}

// ofAccess reports whether an entry is about the keys of access tokens. An authority that names no ring means
// any.
func ofAccess(e revocation.Entry) bool { return e.Name == "" || e.Name == "access" }

// onKeys takes what the feed says of a ring: the keys themselves, so that a key can be used the moment the
// news of it is here, or only that something has changed.
func (g *Guard) onKeys(e revocation.Entry) {
	if !ofAccess(e) {
		return
	}
	set, err := jwk.ParseSet(e.Data)
	if err != nil || set.Len() == 0 {
		g.changedKeys()
		return
	}
	g.keys.Replace(set)
	g.keysMoved.Store(false)
	g.reportKeys()
}

// changedKeys has the set fetched, unless that is under way for an earlier change.
func (g *Guard) changedKeys() {
	g.keys.Invalidate()
	if !g.keysMoved.Swap(true) {
		g.work.Go(g.fetchKeys)
	}
}

// fetchKeys fetches the key set, for as long as it takes, until there was no change while it was fetched.
func (g *Guard) fetchKeys() {
	for pause := firstPause; g.keysMoved.Load(); pause = min(2*pause, 5*time.Second) {
		err := g.keys.Prefetch(g.ctx)
		switch {
		case err == nil && g.keys.Fresh():
			g.keysMoved.Store(false)
			g.keysFetched()
			g.reportKeys()
			return
		case err == nil: // changed again meanwhile
			continue
		}
		select {
		case <-time.After(pause):
		case <-g.ctx.Done():
			return
		}
	}
}

// firstKeys fetches keys before there is a token to check, for as long as it takes: readiness must not wait
// for requests that wait for readiness.
func (g *Guard) firstKeys() {
	g.keysMoved.Store(true)
	g.fetchKeys()
}

// reportKeys tells the authority of keys that it has not been told of, by a new connection. A fleet does not do
// so all at once.
func (g *Guard) reportKeys() {
	if g.follower == nil {
		return
	}
	held := g.heldKeys()
	if old := g.reported.Swap(&held); old != nil && *old == held {
		return
	}
	g.work.Go(func() {
		select {
		case <-time.After(rand.N(200 * time.Millisecond)): //nolint:gosec // spreads load, keeps no secret
			g.follower.Renew()
		case <-g.ctx.Done():
		}
	})
}

func (g *Guard) keysFetched() {
	if g.keys.Held() != nil && g.keysDown.Swap(false) {
		g.log.Info("key set fetched", "url", g.config.JWKSURL)
	}
}

func (g *Guard) keysFailed(err error) {
	if g.ctx.Err() == nil && !g.keysDown.Swap(true) {
		g.log.Warn("key set cannot be fetched", "url", g.config.JWKSURL, "error", err)
	}
}
