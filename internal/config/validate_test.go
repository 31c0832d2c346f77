package config_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
)

func valid() config.Config {
	c := config.Default()
	c.Issuer = "https://id.example.com"
	c.Listen.TLS = config.TLS{CertFile: "cert.pem", KeyFile: "key.pem"}
	c.SealingKey = secret.New(key)
	return c
}

func TestMD_1_Issuer(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	tests := []struct {
		name, issuer string
		proxies      []netip.Prefix
		noTLS        bool
		want         string // "" accepts
	}{
		{name: "https", issuer: "https://id.example.com"},
		{name: "path", issuer: "https://example.com/id/a"},
		{name: "port", issuer: "https://id.example.com:8443"},
		{name: "https behind a proxy", issuer: "https://id.example.com", noTLS: true, proxies: proxies},
		{name: "https that nobody speaks", issuer: "https://id.example.com", noTLS: true, want: "nothing speaks it"},
		{name: "http loopback", issuer: "http://127.0.0.1:8080", noTLS: true},
		{name: "http loopback 6", issuer: "http://[::1]:8080", noTLS: true},
		{name: "http localhost", issuer: "http://localhost:8080", noTLS: true},
		{name: "http behind a proxy", issuer: "http://id.internal:8080", noTLS: true, proxies: proxies},
		{name: "http", issuer: "http://id.example.com", want: "plain http"},
		{name: "http that starts like loopback", issuer: "http://127.0.0.1.example.com", want: "plain http"},
		{name: "http localhost of somebody", issuer: "http://localhost.example.com", want: "plain http"},
		{name: "empty", issuer: "", want: "is required"},
		{name: "no scheme", issuer: "id.example.com", want: "not an https URL"},
		{name: "no host", issuer: "https:///path", want: "not an https URL"},
		{name: "other scheme", issuer: "ftp://id.example.com", want: "not an https URL"},
		{name: "trailing slash", issuer: "https://id.example.com/", want: "end with a slash"},
		{name: "path with trailing slash", issuer: "https://id.example.com/a/", want: "end with a slash"},
		{name: "query", issuer: "https://id.example.com?a=b", want: "a query"},
		{name: "empty query", issuer: "https://id.example.com?", want: "a query"},
		{name: "fragment", issuer: "https://id.example.com#a", want: "a fragment"},
		{name: "empty fragment", issuer: "https://id.example.com#", want: "a fragment"},
		{name: "user", issuer: "https://ann@id.example.com", want: "a user or password"},
		{name: "upper case host", issuer: "https://ID.example.com", want: "lower case"},
		{name: "upper case scheme", issuer: "HTTPS://id.example.com", want: "lower case"},
		{name: "default port", issuer: "https://id.example.com:443", want: "default port"},
		{name: "empty port", issuer: "https://id.example.com:", want: "default port"},
		{name: "dots in the path", issuer: "https://id.example.com/a/../b", want: "another way"},
		{name: "escapes in the path", issuer: "https://id.example.com/%61", want: "another way"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := valid()
			c.Issuer, c.Listen.TrustedProxies = test.issuer, test.proxies
			if test.noTLS {
				c.Listen.TLS = config.TLS{}
			}
			expect(t, c.Validate(), test.want)
		})
	}
}

func TestValidate(t *testing.T) {
	const member = "jm_3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08" // X25519, of RFC 7748 section 6.1
	tests := []struct {
		name   string
		change func(*config.Config)
		want   string
	}{
		{"valid", func(*config.Config) {}, ""},
		{"no sealing key", func(c *config.Config) { c.SealingKey = secret.Value{} }, "sealing_key: is required"},
		{"short sealing key", func(c *config.Config) { c.SealingKey = secret.New("c2hvcnQ=") }, "sealing_key: holds 5 bytes"},
		{"sealing key in base64url without padding", func(c *config.Config) { c.SealingKey = secret.New(strings.Repeat("-_", 22)) }, ""},
		{"sealing key is text", func(c *config.Config) { c.SealingKey = secret.New("not base64!") }, "sealing_key: is not base64"},
		{"half of the certificate", func(c *config.Config) { c.Listen.TLS.KeyFile = "" }, "listen.tls: cert_file and key_file"},
		{"no port", func(c *config.Config) { c.Listen.Address = "127.0.0.1" }, "listen.address"},
		{"port 0", func(c *config.Config) { c.Listen.Address = "127.0.0.1:0" }, ""},
		{"large port", func(c *config.Config) { c.Manage.Address = ":70000" }, "manage.address"},
		{"short admin token", func(c *config.Config) { c.Manage.AdminToken = secret.New("letmein") }, "manage.admin_token: has 7 characters"},
		{"no admin token", func(c *config.Config) { c.Manage.AdminToken = secret.Value{} }, ""},
		{"other store", func(c *config.Config) { c.Store.URL = "mysql://db" }, "store.url"},
		{"PostgreSQL", func(c *config.Config) { c.Store.URL = "postgres://jeton@one:5432,two:5432/jeton" }, ""},
		{"PostgreSQL without a host", func(c *config.Config) { c.Store.URL = "postgres://" }, "store.url"},
		{"Redis", func(c *config.Config) { c.Store.Registry.URL = "rediss://one:6379,two:6379/0" }, ""},
		{"other registry", func(c *config.Config) { c.Store.Registry.URL = "memcached://one" }, "store.registry.url"},
		{"braces in the prefix", func(c *config.Config) { c.Store.Registry.Prefix = "{jeton}" }, "store.registry.prefix"},
		{"too many replicas", func(c *config.Config) { c.Store.Registry.Replicas = 11 }, "store.registry.replicas"},
		{"one connection", func(c *config.Config) { c.Store.MaxConnections = 1 }, "store.max_connections"},
		{"store without a path", func(c *config.Config) { c.Store.URL = "sqlite:" }, "store.url"},
		{"long codes", func(c *config.Config) { c.Tokens.CodeLifetime = 11 * 60e9 }, "tokens.code_lifetime: is 11m, want 1s to 10m"},
		{"negative lifetime", func(c *config.Config) { c.Tokens.AccessLifetime = -1 }, "tokens.access_lifetime"},
		{"idle above absolute", func(c *config.Config) { c.Tokens.RefreshIdle = c.Tokens.RefreshAbsolute + 1 }, "tokens.refresh_idle"},
		{"session idle above absolute", func(c *config.Config) { c.Sessions.Idle = c.Sessions.Absolute + 1 }, "sessions.idle"},
		{"other algorithm", func(c *config.Config) { c.Tokens.AccessAlgorithm = "HS256" }, "tokens.access_algorithm"},
		{"no algorithm", func(c *config.Config) { c.Tokens.AccessAlgorithm = "none" }, "tokens.access_algorithm"},
		{"Ed25519", func(c *config.Config) { c.Tokens.AccessAlgorithm = "Ed25519" }, ""},
		{"no failure allowed", func(c *config.Config) { c.SignIn.AccountFailures = 0 }, "sign_in.account_failures"},
		{"ceiling above the standard's", func(c *config.Config) { c.SignIn.Ceiling = 101 }, "sign_in.ceiling"},
		{"fast heartbeat", func(c *config.Config) { c.Feed.Heartbeat = 1 }, "feed.heartbeat"},
		{"no origins", func(c *config.Config) { c.CORS.Origins = nil }, ""},
		{"origin with a path", func(c *config.Config) { c.CORS.Origins = []string{"https://a.example/x"} }, "cors.origins"},
		{"member without a ring", func(c *config.Config) { c.Publish.Members = []string{"jm_x"} }, "publish.members: want a ring's name"},
		{"member that is none", func(c *config.Config) { c.Publish.Members = []string{"fleet jm_x"} }, "publish.members: member of ring fleet"},
		{"member of a ring of ours", func(c *config.Config) { c.Publish.Members = []string{"refresh " + member} }, "publish.members"},
		{"member", func(c *config.Config) { c.Publish.Members = []string{"fleet " + member} }, ""},
		{"ZooKeeper without a port", func(c *config.Config) { c.Publish.ZooKeeper.Servers = []string{"zk1"} }, "publish.zookeeper.servers"},
		{"ZooKeeper user without a password", func(c *config.Config) {
			c.Publish.ZooKeeper.Servers, c.Publish.ZooKeeper.User = []string{"zk1:2181"}, "jeton"
		}, "publish.zookeeper.user: and password"},
		{"ZooKeeper path", func(c *config.Config) {
			c.Publish.ZooKeeper.Servers, c.Publish.ZooKeeper.Path = []string{"zk1:2181"}, "jeton/"
		}, "publish.zookeeper.path"},
		{"ZooKeeper CA that is not there", func(c *config.Config) {
			c.Publish.ZooKeeper = config.ZooKeeper{Servers: []string{"zk1:2181"}, Path: "/jeton", TLS: config.Required, CAFile: "nowhere"}
		}, "publish.zookeeper: ca_file"},
		{"etcd without a scheme", func(c *config.Config) { c.Publish.Etcd.Endpoints = []string{"etcd1:2379"} }, "publish.etcd.endpoints"},
		{"etcd", func(c *config.Config) { c.Publish.Etcd.Endpoints = []string{"https://etcd1:2379"} }, ""},
		{"format", func(c *config.Config) { c.Log.Format = "xml" }, "log.format"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := valid()
			test.change(&c)
			expect(t, c.Validate(), test.want)
		})
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v, want no error", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want %q", err, want)
	case want != "" && strings.Contains(err.Error(), "\n"):
		t.Errorf("got several problems, want one: %v", err)
	}
}
