package storetest

import (
	"fmt"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

func testClients(w *world) {
	ctx := w.Context()
	c := authority.Client{
		ID: "reports", Name: "Reports", AuthMethod: "client_secret_post",
		Secrets: []authority.ClientSecret{
			{Digest: secret.Digest("new"), CreatedAt: w.now},
			{Digest: secret.Digest("old"), CreatedAt: w.now.Add(-day), ExpiresAt: w.now.Add(day)},
		},
		GrantTypes:             []string{"authorization_code", "refresh_token"},
		RedirectURIs:           []string{"https://a.example.com/cb?x=1&y=2", "http://127.0.0.1/cb"},
		PostLogoutRedirectURIs: []string{"https://a.example.com/bye"},
		Scope:                  []string{"openid", "reports:read"}, Audience: "https://api.example.com", FirstParty: true, Native: true,
		WithoutPKCE: true, IDTokenAlg: "ES256", AccessLifetime: 5 * time.Minute, RefreshIdle: 36 * time.Hour,
		RefreshAbsolute: 30 * day, RefreshPolicy: authority.RefreshStrict, RevokeShared: true, DPoPBound: true, IP: authority.IPEnforce, IPRefresh: true, Version: 1,
		BackchannelLogoutURI: "https://a.example.com/out", BackchannelLogoutSessionRequired: true,
		CreatedAt: w.now, UpdatedAt: w.now,
	}
	w.must(w.store.CreateClient(ctx, c, w.event(authority.EventClientCreated)))
	got, err := w.store.Client(ctx, c.ID)
	w.must(err)
	w.same("created", got, c)
	_, err = w.store.Client(ctx, "Reports")
	w.want("absent", err, authority.ErrNotFound)

	// Every member the other way round.
	changed := authority.Client{
		ID: c.ID, Name: "R", AuthMethod: "none", GrantTypes: []string{"client_credentials"}, Disabled: true,
		Version: c.Version, CreatedAt: c.CreatedAt, UpdatedAt: w.now.Add(time.Hour),
	}
	w.must(w.store.UpdateClient(ctx, changed, w.event(authority.EventClientUpdated)))
	changed.Version++
	got, err = w.store.Client(ctx, c.ID)
	w.must(err)
	w.same("updated", got, changed)
}

func testClientConflicts(w *world) {
	ctx := w.Context()
	c := w.client("app", false)
	other := c
	other.Name = "other"
	w.want("id taken", w.store.CreateClient(ctx, other, w.event(authority.EventClientCreated)), authority.ErrConflict)
	other.Version++
	w.want("version ahead", w.store.UpdateClient(ctx, other, w.event(authority.EventClientUpdated)), authority.ErrConflict)
	absent := c
	absent.ID = "absent"
	w.want("absent", w.store.UpdateClient(ctx, absent, w.event(authority.EventClientUpdated)), authority.ErrConflict)
	got, err := w.store.Client(ctx, c.ID)
	w.must(err)
	w.same("after refusals", got, c)

	w.oneWins(race(20, func(i int) error {
		mine := c
		mine.Name = fmt.Sprint("name ", i)
		return w.store.UpdateClient(ctx, mine, w.event(authority.EventClientUpdated))
	}), authority.ErrConflict)
	if n := w.events(authority.EventClientUpdated); n != 1 {
		w.Errorf("got %d events, want 1", n)
	}
}

func testClientPages(w *world) {
	var want []string
	for i := range 12 {
		want = append(want, fmt.Sprintf("app-%02d", i))
	}
	for i := range want {
		w.client(want[len(want)-1-i], false)
	}
	var got []string
	for after := ""; ; {
		page, err := w.store.Clients(w.Context(), authority.Page{After: after, Limit: 5})
		w.must(err)
		for _, c := range page {
			got = append(got, c.ID)
		}
		if len(page) < 5 {
			break
		}
		after = page[len(page)-1].ID
	}
	w.same("ids", got, want)
}

func testResources(w *world) {
	ctx := w.Context()
	put := func(audience, client string) authority.Resource {
		w.Helper()
		r := authority.Resource{Audience: audience, ClientID: client, Name: "N", Scope: []string{"a", "b"}, CreatedAt: w.now}
		w.must(w.store.PutResource(ctx, r, w.event(authority.EventResourceCreated)))
		return r
	}
	b, a := put("https://b.example.com", "one"), put("https://a.example.com", "one")
	c := put("https://c.example.com", "two")

	all, err := w.store.Resources(ctx)
	w.must(err)
	w.same("all", all, []authority.Resource{a, b, c})
	of, err := w.store.ResourceOf(ctx, "one")
	w.must(err)
	w.same("of a client", of, []authority.Resource{a, b})
	none, err := w.store.ResourceOf(ctx, "three")
	w.must(err)
	w.same("of nobody", none, []authority.Resource{})

	a.Name, a.Scope, a.ClientID, a.Ring = "Other", nil, "two", "fleet"
	w.must(w.store.PutResource(ctx, a, w.event(authority.EventResourceUpdated)))
	got, err := w.store.Resource(ctx, a.Audience)
	w.must(err)
	w.same("replaced", got, a)

	w.must(w.store.DeleteResource(ctx, a.Audience, w.event(authority.EventResourceDeleted)))
	_, err = w.store.Resource(ctx, a.Audience)
	w.want("deleted", err, authority.ErrNotFound)
	w.want("delete absent", w.store.DeleteResource(ctx, a.Audience, w.event(authority.EventResourceDeleted)), authority.ErrNotFound)
	if n := w.events(authority.EventResourceDeleted); n != 1 {
		w.Errorf("got %d events of deletion, want 1", n)
	}
}
