package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
)

func TestValidate_Mail(t *testing.T) {
	good := valid()
	good.Notify.SMTP.Host, good.Notify.SMTP.From = "smtp.example.com", "Example <id@example.com>"
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*config.Notify)
		want   string
	}{
		"no sender":         {func(n *config.Notify) { n.SMTP.From = "" }, "notify.smtp: from: "},
		"no such mode":      {func(n *config.Notify) { n.SMTP.TLS = "ssl" }, "notify.smtp: the TLS mode is not starttls, tls or none"},
		"clear":             {func(n *config.Notify) { n.SMTP.TLS = "none" }, "loopback"},
		"half a sign-in":    {func(n *config.Notify) { n.SMTP.User = "jeton" }, "user and password go together"},
		"not an address":    {func(n *config.Notify) { n.Admins = []string{"root"} }, `notify.admins: "root"`},
		"no such mail":      {func(n *config.Notify) { n.Mail.Without = []string{"new_devices"} }, `notify.mail.without: is "new_devices"`},
		"no mail an hour":   {func(n *config.Notify) { n.Mail.PerHour = 0 }, "notify.mail.per_hour"},
		"less than an hour": {func(n *config.Notify) { n.Mail.PerDay = 9 }, "notify.mail.per_day: is 9, want 10 to 400"},
		"forgets too soon":  {func(n *config.Notify) { n.Keep = time.Hour }, "notify.keep: is 1h, want at least 24h"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			test.change(&c.Notify)
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	none := valid() // without a mail server the rest of the section does not matter
	none.Notify.Keep = time.Hour
	if err := none.Validate(); err != nil {
		t.Error(err)
	}
}

func TestLoad_Mail(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"password": "of the mail server\n", "ca.pem": "no certificate", "jeton.yaml": `
issuer: http://127.0.0.1:8080
notify:
  smtp:
    host: 127.0.0.1
    tls: none
    user: jeton
    password_file: ` + filepath.Join(dir, "password") + `
    from: id@example.com
    ca_file: ` + filepath.Join(dir, "ca.pem") + `
  admins: [a@example.com, b@example.com]
  mail: {unverified: true, without: [brute_force]}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(filepath.Join(dir, "jeton.yaml"), []string{"JETON_SEALING_KEY=" + key, "JETON_NOTIFY_MAIL_PER_HOUR=5"})
	if err != nil {
		t.Fatal(err)
	}
	n := c.Notify
	if !n.SMTP.Password.Equal("of the mail server") || !n.Mail.Unverified || len(n.Mail.Without) != 1 || len(n.Admins) != 2 || n.Mail.PerHour != 5 || n.Mail.PerDay != 30 {
		t.Errorf("%+v", n)
	}
	if _, err := n.SMTP.Server(); err == nil || !strings.Contains(err.Error(), "notify.smtp.ca_file") {
		t.Errorf("a file without a certificate: %v", err)
	}
	n.SMTP.CAFile = ""
	s, err := n.SMTP.Server()
	if err != nil || s.Host != "127.0.0.1" || s.User != "jeton" || s.Password != (secret.Value{}) && s.Password.Reveal() != "of the mail server" {
		t.Errorf("%+v, %v", s, err)
	}
}
