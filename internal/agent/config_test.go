package agent_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/agent"
	"github.com/jetonhq/jeton/internal/secret"
)

func TestConfig_Problems(t *testing.T) {
	const hidden = "hunter2-hunter2"
	for _, test := range []struct {
		name   string
		change func(*agent.Config)
		want   []string // parts of the error, none for no error
	}{
		{"complete", func(*agent.Config) {}, nil},
		{"socket", func(c *agent.Config) { c.Listen = "unix:/run/jeton/agent.sock" }, nil},
		{"IPv6 loopback", func(c *agent.Config) { c.Listen = "[::1]:8090" }, nil},
		{"localhost", func(c *agent.Config) { c.Listen = "localhost:0" }, nil},
		{"nothing", func(c *agent.Config) { *c = agent.Config{} }, []string{"issuer: is required", "audience: is required", "client-id: is required", "client-secret-file: is required"}},
		{"no secret", func(c *agent.Config) { c.ClientSecret = secret.Value{} }, []string{"client-secret-file: is required"}},
		{"http issuer", func(c *agent.Config) { c.Issuer = "http://id.example.com" }, []string{"Issuer must be https"}},
		{"every address", func(c *agent.Config) { c.Listen = ":8090" }, []string{"--insecure-listen-anywhere"}},
		{"every IPv4 address", func(c *agent.Config) { c.Listen = "0.0.0.0:8090" }, []string{"--insecure-listen-anywhere"}},
		{"an address of the network", func(c *agent.Config) { c.Listen = "192.0.2.1:8090" }, []string{"--insecure-listen-anywhere"}},
		{"a name", func(c *agent.Config) { c.Listen = "127.0.0.1.example.com:8090" }, []string{"--insecure-listen-anywhere"}},
		{"anywhere, without a secret", func(c *agent.Config) { c.Listen, c.InsecureListenAnywhere = ":8090", true }, []string{"--caller-secret-file"}},
		{"anywhere, with one", func(c *agent.Config) {
			c.Listen, c.InsecureListenAnywhere, c.CallerSecret = ":8090", true, secret.New(callerSecret)
		}, nil},
		{"short caller secret", func(c *agent.Config) { c.CallerSecret = secret.New(hidden) }, []string{"caller-secret-file: holds 15 characters"}},
		{"no port", func(c *agent.Config) { c.Listen = "127.0.0.1" }, []string{"neither host:port"}},
		{"socket without a path", func(c *agent.Config) { c.Listen = "unix:" }, []string{"path"}},
		{"negative staleness", func(c *agent.Config) { c.MaxStaleness = -1 }, []string{"max-staleness"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := agent.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com", ClientID: "api", ClientSecret: secret.New(hidden)}
			test.change(&c)
			a, err := agent.New(c, slog.New(slog.DiscardHandler))
			if err == nil {
				if err := a.Close(); err != nil {
					t.Error(err)
				}
			}
			if (err == nil) != (test.want == nil) {
				t.Fatalf("error %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), hidden) {
				t.Errorf("the secret is in %q", err)
			}
		})
	}
}
