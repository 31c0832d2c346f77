package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/oauth"
)

// DevOptions say where the parts of Dev listen and where it keeps its state.
type DevOptions struct {
	Listen, APIListen, ManageListen string // host:port; port 0 picks a free one
	Data                            string // directory, made when missing
	Stdout                          io.Writer
	Logger                          *slog.Logger
}

// Names of what Dev sets up.
const (
	devLogin    = "alice"
	devMachine  = "machine"
	devWeb      = "web"
	devSPA      = "spa"
	devBFF      = "bff"
	devResource = "reports-api"
)

// Dev runs an authority, a guarded example API and the management listener on
// this machine, until ctx is done. State and secrets are made at the first
// start and kept in o.Data; dev.json there (mode 0600) tells scripts all they
// need.
func Dev(ctx context.Context, o DevOptions) error {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if o.Data, err = filepath.Abs(o.Data); err == nil { // the transcript is pasted elsewhere
		err = os.MkdirAll(o.Data, 0o700)
	}
	if err != nil {
		return fmt.Errorf("dev: data directory: %w", err)
	}
	public, manage, err := listen(ctx, o.Listen, o.ManageListen)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	api, err := lc.Listen(ctx, "tcp", o.APIListen)
	if err != nil {
		return errors.Join(fmt.Errorf("dev: listen for the example API: %w", err), public.Close(), manage.Close())
	}
	d, err := devState(o.Data)
	if err == nil {
		d.Issuer, d.API, d.Manage = "http://"+public.Addr().String(), "http://"+api.Addr().String(), "http://"+manage.Addr().String()
		err = runDev(ctx, o, d, public, manage, api)
	}
	return errors.Join(err, ignoreClosed(public.Close()), ignoreClosed(manage.Close()), ignoreClosed(api.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// devState reads dev.json of an earlier start, or makes the secrets of the
// first.
func devState(data string) (config.DevFile, error) {
	d, err := config.ReadDevFile(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d, fmt.Errorf("dev: %w", err)
	}
	for value, prefix := range map[*string]string{
		&d.AdminToken: "jadm_", &d.User.Password: "", &d.Clients.Machine.Secret: "jcs_", &d.Clients.Web.Secret: "jcs_", &d.Clients.BFF.Secret: "jcs_", &d.Resource.Secret: "jcs_",
	} {
		if *value == "" {
			*value = secret.Token(prefix).Reveal()
		}
	}
	d.User.Login = devLogin
	d.Clients.Machine.ID, d.Clients.Web.ID, d.Clients.SPA.ID, d.Clients.BFF.ID, d.Resource.ID = devMachine, devWeb, devSPA, devBFF, devResource
	return d, nil
}

func runDev(ctx context.Context, o DevOptions, d config.DevFile, public, manage, api net.Listener) error {
	d.Clients.Web.RedirectURI, d.Clients.SPA.RedirectURI = d.API+"/callback", d.API+"/spa/callback"
	d.Clients.BFF.RedirectURI = d.API + "/auth/callback"
	d.Resource.Audience = d.API
	sealing, err := devSealingKey(o.Data)
	if err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Issuer = d.Issuer
	cfg.Listen.Address, cfg.Manage.Address = public.Addr().String(), manage.Addr().String()
	cfg.Manage.AdminToken = secret.New(d.AdminToken)
	cfg.Store.URL = "sqlite:" + filepath.Join(o.Data, "jeton.db")
	cfg.SealingKey = sealing
	cfg.Tokens.DefaultAudience = d.Resource.Audience
	// One node, one guard, and nobody who tries a rotation wants to wait an hour.
	cfg.Keys.Staging, cfg.Keys.CacheTime, cfg.Keys.ClockSkew = 3*time.Second, time.Second, 0
	s, err := Open(ctx, cfg, Options{Logger: o.Logger})
	if err != nil {
		return err
	}
	example, err := newExample(ctx, d, o.Logger)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if err := s.seed(ctx, d); err != nil {
		return errors.Join(err, example.Close(), s.Close())
	}
	if err := config.WriteDevFile(o.Data, d); err != nil {
		return errors.Join(fmt.Errorf("dev: %w", err), example.Close(), s.Close())
	}
	printTranscript(o.Stdout, d, config.DevPath(o.Data))
	err = s.serve(ctx,
		site{"example API", api, example, false}, // stops first, because it asks the authority
		site{"public", public, s.public, false},
		site{"management", manage, s.manage, false})
	return errors.Join(err, example.Close(), s.Close())
}

// devSealingKey reads the sealing key, or makes it at the first start.
func devSealingKey(data string) (secret.Value, error) {
	path := filepath.Join(data, "sealing.key")
	b, err := os.ReadFile(path) // #nosec G304 -- in the directory the caller named
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeSealingKey(data, path); err == nil {
			b, err = os.ReadFile(path) // #nosec G304 -- as above
		}
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("dev: sealing key: %w", err)
	}
	return secret.New(string(b)), nil
}

// makeSealingKey puts a new key in place whole, or leaves the one that another
// process was quicker to put there: the database may be sealed with it already.
func makeSealingKey(data, path string) error {
	f, err := os.CreateTemp(data, ".sealing-*.key") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(secret.Bytes(32)))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// seed brings the example's clients, resource and account to the state that d
// describes. The API's audience is its URL, so the resource of an earlier start
// on another port goes.
func (s *Server) seed(ctx context.Context, d config.DevFile) error {
	personal := []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess, "reports:read"}
	owned, err := s.clients.ResourceOf(ctx, d.Resource.ID)
	if err != nil {
		return fmt.Errorf("dev: resources: %w", err)
	}
	for _, r := range owned {
		if r.Audience != d.Resource.Audience {
			if err := s.clients.DeleteResource(ctx, authority.System, r.Audience, devReason); err != nil {
				return fmt.Errorf("dev: resource of an earlier start: %w", err)
			}
		}
	}
	_, err = s.provisioner().Apply(ctx, authority.System, admin.Document{
		Clients: []admin.NewClient{
			{Secret: d.Clients.Machine.Secret, ClientSpec: admin.ClientSpec{
				ID: d.Clients.Machine.ID, Name: "Example program", Mint: &admin.MintPolicy{Subjects: "own"}, GrantTypes: []string{oauth.ClientCredentials},
				Scope: []string{"reports:read", "admin"}, Audience: d.Resource.Audience,
			}},
			{Secret: d.Clients.Web.Secret, ClientSpec: admin.ClientSpec{
				ID: d.Clients.Web.ID, Name: "Example web app", GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
				RedirectURIs: []string{d.Clients.Web.RedirectURI}, PostLogoutRedirectURIs: []string{d.API + "/"},
				Scope: personal, Audience: d.Resource.Audience, Native: true, // for its http redirect to loopback
			}},
			{ClientSpec: admin.ClientSpec{
				ID: d.Clients.SPA.ID, Name: "Example browser app", AuthMethod: oauth.NoAuthentication,
				GrantTypes:   []string{oauth.AuthorizationCode, oauth.RefreshToken},
				RedirectURIs: []string{d.Clients.SPA.RedirectURI}, PostLogoutRedirectURIs: []string{d.API + "/"},
				Scope: personal, Audience: d.Resource.Audience, Native: true, // for its http redirect to loopback
			}},
			{Secret: d.Clients.BFF.Secret, ClientSpec: admin.ClientSpec{
				ID: d.Clients.BFF.ID, Name: "Example app with sessions", GrantTypes: []string{oauth.AuthorizationCode, oauth.RefreshToken},
				RedirectURIs: []string{d.Clients.BFF.RedirectURI}, PostLogoutRedirectURIs: []string{d.API + "/"},
				Scope: personal, Audience: d.Resource.Audience, FirstParty: true, Native: true, // for its http redirect to loopback
			}},
			{Secret: d.Resource.Secret, ClientSpec: admin.ClientSpec{ID: d.Resource.ID, Name: "Example reports API"}},
		},
		Resources: []admin.ResourceSpec{{
			Audience: d.Resource.Audience, Name: "Example reports API", Scope: []string{"reports:read", "admin"}, ClientID: d.Resource.ID,
		}},
		Accounts: []admin.NewAccount{{Password: d.User.Password, AccountSpec: admin.AccountSpec{
			Login: d.User.Login, Name: "Alice Example", Email: "alice@example.com", EmailVerified: true,
		}}},
	}, devReason, false)
	if err != nil {
		return fmt.Errorf("dev: %w", err)
	}
	return s.seedPassword(ctx, d)
}

const devReason = "jeton dev"

// seedPassword makes the password in dev.json true again, should the file have
// been lost while the database stayed.
func (s *Server) seedPassword(ctx context.Context, d config.DevFile) error {
	password := secret.New(d.User.Password)
	a, err := s.accounts.Find(ctx, d.User.Login)
	if err != nil {
		return fmt.Errorf("dev: account: %w", err)
	}
	ok, err := s.accounts.CheckPassword(ctx, a, password)
	if err == nil && !ok {
		_, err = s.accounts.SetPassword(ctx, authority.System, a.ID, password, devReason)
	}
	if err != nil {
		return fmt.Errorf("dev: password: %w", err)
	}
	return nil
}
