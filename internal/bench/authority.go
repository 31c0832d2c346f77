package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/server"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

// maxCallers is how many grants are made for refreshing.
const maxCallers = 256

// authorityInfo is what the authority under test says of itself.
type authorityInfo struct {
	Addr          string
	MachineBasic  string   // base64 of id:secret
	AppBasic      string   // of the client that refreshes
	ResourceBasic string   // of the resource that introspects
	Refresh       []string // one refresh token per caller
	BytesPerToken float64  // growth of the database per stored token
}

// sealingVariable has the sealing key, which the nodes share.
const sealingVariable = "JETON_BENCH_SEALING_KEY"

// serveAuthority runs the real server on the embedded store or on PostgreSQL, durable as in
// production, without rate limits being in the way of honest load. With an issuer it is
// another node of that authority.
func serveAuthority(ctx context.Context, store, registry, issuer string, stored int) error {
	dir, err := os.MkdirTemp("", "jeton-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Issuer = cmp.Or(issuer, "http://"+ln.Addr().String())
	cfg.Store.URL = cmp.Or(store, "sqlite:"+filepath.Join(dir, "jeton.db"))
	cfg.Store.Registry.URL = registry
	cfg.SealingKey = secret.New(os.Getenv(sealingVariable))
	s, err := server.Open(ctx, cfg, server.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if issuer != "" {
		return serveOn(ctx, ln, s.Handler(), authorityInfo{Addr: ln.Addr().String()})
	}
	info, err := setUp(ctx, s)
	if err != nil {
		return err
	}
	if err := fill(ctx, s, filepath.Join(dir, "jeton.db"), stored, &info); err != nil {
		return err
	}
	info.Addr = ln.Addr().String()
	return serveOn(ctx, ln, s.Handler(), info)
}

func setUp(ctx context.Context, s *server.Server) (authorityInfo, error) {
	var info authorityInfo
	p := s.Parts()
	for _, c := range []struct {
		spec  clients.Spec
		basic *string
	}{
		{clients.Spec{ID: "machine", GrantTypes: []string{oauth.ClientCredentials}, Scope: []string{"read"}, Audience: "https://api.example.com"}, &info.MachineBasic},
		{clients.Spec{ID: "app", GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken}, Scope: []string{"read"},
			RedirectURIs: []string{"https://app.example.com/cb"}, Audience: "https://api.example.com"}, &info.AppBasic},
		{clients.Spec{ID: "api"}, &info.ResourceBasic},
	} {
		client, value, err := p.Clients.Create(ctx, authority.System, c.spec, "bench")
		if err != nil {
			return info, err
		}
		*c.basic = base64.StdEncoding.EncodeToString([]byte(client.ID + ":" + value.Reveal()))
	}
	if _, _, err := p.Clients.PutResource(ctx, authority.System, clients.ResourceSpec{
		Audience: "https://api.example.com", Scope: []string{"read"}, ClientID: "api"}, "bench"); err != nil {
		return info, err
	}
	app, err := p.Clients.Lookup(ctx, "app")
	if err != nil {
		return info, err
	}
	now := time.Now()
	person := authority.Account{ID: secret.NewID(now), Login: "bench", CreatedAt: now, UpdatedAt: now}
	event := func(t authority.EventType) authority.Event {
		return authority.Event{ID: secret.NewID(now), Type: t, Actor: authority.System}
	}
	if err := p.Store.CreateAccount(ctx, person, event(authority.EventAccountCreated)); err != nil {
		return info, err
	}
	session := authority.Session{
		ID: secret.NewID(now), AccountID: person.ID, AuthTime: now, CreatedAt: now, LastSeen: now,
		IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
	}
	if err := p.Store.CreateSession(ctx, session, secret.ID{}, event(authority.EventSignedIn)); err != nil {
		return info, err
	}
	for range maxCallers {
		id := secret.NewID(time.Now())
		code := authority.Code{
			ID: id, Digest: secret.Digest(tokens.NewCode(id).Reveal()), ClientID: app.ID, AccountID: person.ID, SessionID: session.ID,
			Scope: []string{"read"}, Audience: []string{"https://api.example.com"}, AuthTime: now, CreatedAt: now, ExpiresAt: now.Add(time.Minute),
		}
		if err := p.Store.CreateCode(ctx, code, nil, nil); err != nil {
			return info, err
		}
		issued, err := p.Tokens.RedeemCode(ctx, code, app, tokens.Holder{}, authority.Context{})
		if err != nil {
			return info, err
		}
		info.Refresh = append(info.Refresh, issued.RefreshToken.Reveal())
	}
	return info, nil
}

func serveHandler(ctx context.Context, h http.Handler, info func(addr string) any) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return serveOn(ctx, ln, h, info(ln.Addr().String()))
}

func serveOn(ctx context.Context, ln net.Listener, h http.Handler, info any) error {
	line, err := json.Marshal(info)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", line)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	stopped := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stopped()
	if err := srv.Serve(ln); ctx.Err() == nil {
		return err
	}
	return nil
}
