package config_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
)

// The first master key wraps. Which one that is can be said, or follows from
// what is configured.
func TestMasters(t *testing.T) {
	other := secret.New(base64.StdEncoding.EncodeToString(secret.Bytes(32)))
	vault := config.Vault{URL: "https://vault.example.com:8200", Mount: "transit", Key: "jeton", Token: secret.New("hvs.token")}
	tests := []struct {
		name string
		edit func(*config.Config)
		want string // kinds in order, or the problem
	}{
		{"sealing key", func(*config.Config) {}, "key"},
		{"two sealing keys", func(c *config.Config) { c.SealingKeyPrevious = other }, "key key"},
		{"none", func(c *config.Config) { c.SealingKey = secret.Value{} }, "sealing_key: is required"},
		{"only a previous one", func(c *config.Config) { c.SealingKey, c.SealingKeyPrevious = secret.Value{}, other }, "sealing_key: is required"},
		{"short", func(c *config.Config) { c.SealingKey = secret.New("c2hvcnQ=") }, "sealing_key: holds 5 bytes, want at least 32"},
		{"short previous one", func(c *config.Config) { c.SealingKeyPrevious = secret.New("c2hvcnQ=") }, "sealing_key_previous: holds 5 bytes"},
		{"no base64", func(c *config.Config) { c.SealingKey = secret.New("not base64!") }, "sealing_key: is not base64"},
		{"Vault alone", func(c *config.Config) { c.SealingKey, c.Sealing.Vault = secret.Value{}, vault }, "transit"},
		{"to Vault", func(c *config.Config) { c.Sealing.Vault = vault }, "transit key"},
		{"from Vault", func(c *config.Config) { c.Sealing.Vault, c.Sealing.WrapWith = vault, "key" }, "key transit"},
		{"Vault without a URL", func(c *config.Config) { c.Sealing.WrapWith = "vault" }, "sealing.wrap_with: is vault, but sealing.vault.url is empty"},
		{"Vault without a token", func(c *config.Config) { c.Sealing.Vault = vault; c.Sealing.Vault.Token = secret.Value{} }, "sealing.vault: a token"},
		{"another place", func(c *config.Config) { c.Sealing.WrapWith = "kms" }, `sealing.wrap_with: is "kms", want key or vault`},
		{"no patience", func(c *config.Config) { c.Sealing.Patience = 0 }, "sealing.patience: is 0s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := valid()
			test.edit(&c)
			got := ""
			if err := c.Validate(); err != nil {
				got = err.Error()
			} else {
				masters, err := c.Masters()
				if err != nil {
					t.Fatal(err)
				}
				var kinds []string
				for _, m := range masters {
					kind, _, _ := strings.Cut(fmt.Sprint(m), ":")
					kinds = append(kinds, kind)
				}
				got = strings.Join(kinds, " ")
			}
			if got != test.want && (!strings.Contains(test.want, ":") || !strings.Contains(got, test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAdminTokenPrevious(t *testing.T) {
	c := valid()
	c.Manage.AdminTokenPrevious = secret.Token("")
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "manage.admin_token_previous: is set, but there is no admin_token") {
		t.Errorf("alone: got %v", err)
	}
	c.Manage.AdminToken = secret.Token("")
	if err := c.Validate(); err != nil {
		t.Errorf("both: got %v", err)
	}
	c.Manage.AdminTokenPrevious = secret.New("short")
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "manage.admin_token_previous: has 5 characters") {
		t.Errorf("a short one: got %v", err)
	}
}
