package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// Validate reports everything that is wrong with c, joined.
func (c Config) Validate() error {
	var problems []error
	check := func(setting string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", setting, err))
		}
	}
	check("issuer", c.checkIssuer())
	check("listen.address", checkAddress(c.Listen.Address))
	check("listen.tls", checkTLS(c.Listen.TLS))
	check("manage.address", checkAddress(c.Manage.Address))
	check("manage.admin_token", checkAdminToken(c.Manage.AdminToken))
	check("manage.admin_token_previous", checkAdminToken(c.Manage.AdminTokenPrevious))
	if c.Manage.AdminToken.Empty() && !c.Manage.AdminTokenPrevious.Empty() {
		check("manage.admin_token_previous", errors.New("is set, but there is no admin_token"))
	}
	check("store.url", checkStore(c.Store.URL))
	check("store.migrate", oneOf(c.Store.Migrate, MigrateAuto, MigrateManual))
	if c.Store.MaxConnections < 2 || c.Store.MaxConnections > 1000 {
		check("store.max_connections", errors.New("has to be from 2 to 1000"))
	}
	check("store.registry.url", checkRegistry(c.Store.Registry.URL))
	if strings.ContainsAny(c.Store.Registry.Prefix, "{} \t\r\n") {
		check("store.registry.prefix", errors.New("may not hold braces and spaces"))
	}
	if r := c.Store.Registry.Replicas; r < 0 || r > 10 {
		check("store.registry.replicas", errors.New("has to be from 0 to 10"))
	}
	problems = append(problems, c.checkSealing()...)

	t := c.Tokens
	check("tokens.access_lifetime", within(t.AccessLifetime, 10*time.Second, time.Hour))
	check("tokens.access_jitter", checkJitter(t.AccessJitter))
	check("tokens.id_lifetime", within(t.IDLifetime, 10*time.Second, 24*time.Hour))
	check("tokens.code_lifetime", within(t.CodeLifetime, time.Second, 10*time.Minute))
	check("tokens.refresh_idle", within(t.RefreshIdle, time.Minute, t.RefreshAbsolute))
	check("tokens.dpop_nonce", oneOf(t.DPoPNonce, Off, Required))
	check("tokens.access_algorithm", oneOf(t.AccessAlgorithm, signing...))

	k := c.Keys
	check("keys.clock_skew", within(k.ClockSkew, 0, 10*time.Minute))
	check("keys.cache_time", within(k.CacheTime, time.Second, 24*time.Hour))
	check("keys.staging", longerThan(k.Staging, k.CacheTime+2*k.ClockSkew))
	for setting, period := range map[string]time.Duration{
		"keys.access_period": k.AccessPeriod, "keys.id_period": k.IDPeriod, "keys.refresh_period": k.RefreshPeriod,
		"keys.flow_period": k.FlowPeriod, "keys.shared_period": k.SharedPeriod,
	} {
		check(setting, atLeast(period, k.Staging))
	}
	for _, alg := range k.IDAlgorithms {
		check("keys.id_algorithms", oneOf(alg, signing...))
	}
	if !slices.Contains(k.IDAlgorithms, "RS256") {
		check("keys.id_algorithms", errors.New("lacks RS256, which every OpenID Connect client knows"))
	}
	check("keys.refresh_compromise", oneOf(k.RefreshCompromise, "rotate", "end"))

	problems = append(problems, c.checkPublish()...)

	check("sessions.idle", within(c.Sessions.Idle, time.Minute, c.Sessions.Absolute))

	check("sessions.ip", oneOf(c.Sessions.IP, "off", "flag", "enforce"))

	check("sign_in.min_password", between(c.SignIn.MinPassword, 8, 64))
	check("sign_in.password_acr", checkACR(c.SignIn.PasswordACR))
	check("sign_in.account_failures", between(c.SignIn.AccountFailures, 1, 100))
	check("sign_in.address_failures", between(c.SignIn.AddressFailures, 1, 100_000))
	check("sign_in.ceiling", between(c.SignIn.Ceiling, 1, 100))
	check("sign_in.delay", within(c.SignIn.Delay, time.Millisecond, c.SignIn.MaxDelay))
	check("sign_in.window", within(c.SignIn.Window, time.Second, 24*time.Hour))
	check("sign_in.known_for", within(c.SignIn.KnownFor, 24*time.Hour, 10*365*24*time.Hour))

	check("feed.heartbeat", within(c.Feed.Heartbeat, 50*time.Millisecond, 30*time.Second))
	for _, origin := range c.CORS.Origins {
		check("cors.origins", checkOrigin(origin))
	}
	c.checkNotify(check)
	check("log.format", oneOf(c.Log.Format, "json", "text"))
	check("audit.keep", atLeast(c.Audit.Keep, 24*time.Hour))
	check("notify.timeout", within(c.Notify.Timeout, 100*time.Millisecond, time.Minute))
	check("notify.give_up", within(c.Notify.GiveUp, 10*time.Second, 30*24*time.Hour))
	check("notify.keep", within(c.Notify.Keep, time.Minute, 365*24*time.Hour))
	check("shutdown.notice", within(c.Shutdown.Notice, 0, 10*time.Minute))
	check("shutdown.drain", within(c.Shutdown.Drain, 0, 10*time.Minute))

	for _, client := range c.Provision.Clients {
		if client.AuthMethod != "none" && client.SecretFile == "" && client.SecretEnv == "" {
			check("provision.clients", fmt.Errorf("client %q needs a secret_file or secret_env: at start nobody would see a secret made for it", client.ID))
		}
	}
	for _, hook := range c.Provision.Webhooks {
		if hook.SecretFile == "" && hook.SecretEnv == "" {
			check("provision.webhooks", fmt.Errorf("webhook %q needs a secret_file or secret_env: at start nobody would see a secret made for it", hook.Name))
		}
	}
	return errors.Join(problems...)
}

// checkIssuer holds the issuer to the form that clients compare byte by byte
// (RFC 8414 section 2, OpenID Connect Discovery section 3): there must be no
// second way to write it.
func (c Config) checkIssuer() error {
	if c.Issuer == "" {
		return errors.New("is required")
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("is not an https URL")
	}
	var problems []error
	refuse := func(wrong bool, text string) {
		if wrong {
			problems = append(problems, errors.New(text))
		}
	}
	refuse(u.User != nil, "must not hold a user or password")
	refuse(strings.Contains(c.Issuer, "?"), "must not have a query")
	refuse(strings.Contains(c.Issuer, "#"), "must not have a fragment")
	refuse(strings.HasSuffix(u.Path, "/"), "must not end with a slash")
	trimmed := strings.TrimSuffix(u.EscapedPath(), "/")
	refuse(trimmed != "" && path.Clean(trimmed) != trimmed || strings.Contains(trimmed, "%"), "has a path that can be written in another way")
	lower := u.Scheme + "://" + strings.ToLower(u.Host)
	refuse(u.User == nil && !strings.HasPrefix(c.Issuer, lower), "must have its scheme and host in lower case")
	port := u.Port()
	refuse(u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" || strings.HasSuffix(u.Host, ":"), "must not name the default port")

	proxied := len(c.Listen.TrustedProxies) > 0
	refuse(u.Scheme == "http" && !loopback(u.Hostname()) && !proxied,
		"is plain http for a host that is not loopback: use https, or name who speaks it for us in listen.trusted_proxies")
	refuse(u.Scheme == "https" && c.Listen.TLS == TLS{} && !proxied,
		"is https, but nothing speaks it: set listen.tls, or name who does in listen.trusted_proxies")
	return errors.Join(problems...)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

func checkAdminToken(token secret.Value) error {
	if n := len(token.Reveal()); n > 0 && n < 32 {
		return fmt.Errorf("has %d characters, want at least 32 random ones, or none for no admin API", n)
	}
	return nil
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not a host and port such as 127.0.0.1:8080 or :8080", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port between 0 and 65535", address)
	}
	if strings.ContainsAny(host, "/ ") {
		return fmt.Errorf("%q has no usable host", address)
	}
	return nil
}

// checkACR: values travel in lists that are separated by spaces, and in
// challenges.
func checkACR(value string) error {
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return fmt.Errorf("%q is not a name such as urn:jeton:pwd: it has to be of visible ASCII without quotes and backslashes", value)
	}
	return nil
}

func checkTLS(t TLS) error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return errors.New("cert_file and key_file go together")
	}
	return nil
}

// checkStore never shows the URL, which may hold a password.
func checkStore(address string) error {
	for _, scheme := range []string{"sqlite:", "postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(address, scheme); ok && rest != "" {
			return nil
		}
	}
	return errors.New("want sqlite: and the path of a file, or a URL that begins with postgres://")
}

// checkRegistry never shows the URL, which may hold a password.
func checkRegistry(address string) error {
	for _, scheme := range []string{"redis://", "rediss://"} {
		if rest, ok := strings.CutPrefix(address, scheme); ok && rest != "" {
			return nil
		}
	}
	if address == "" {
		return nil
	}
	return errors.New("want a URL that begins with redis:// or rediss://, or nothing")
}

func checkOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != origin || strings.ToLower(origin) != origin {
		return fmt.Errorf("%q is not an origin such as https://app.example.com", origin)
	}
	return nil
}

// checkJitter is written so that NaN fails.
func checkJitter(share float64) error {
	if !(share >= 0 && share <= 0.5) {
		return fmt.Errorf("is %v, want 0 to 0.5", share)
	}
	return nil
}

func within(d, low, high time.Duration) error {
	if d < low || d > high {
		return fmt.Errorf("is %s, want %s to %s", shortDuration(d), shortDuration(low), shortDuration(high))
	}
	return nil
}

// signing are the algorithms whose keys can be published.
var signing = []string{"ES256", "Ed25519", "ES384", "RS256", "PS256"}

func longerThan(d, low time.Duration) error {
	if d <= low {
		return fmt.Errorf("is %s, want more than %s", shortDuration(d), shortDuration(low))
	}
	return nil
}

func atLeast(d, low time.Duration) error {
	if d < low {
		return fmt.Errorf("is %s, want at least %s", shortDuration(d), shortDuration(low))
	}
	return nil
}

func between(n, low, high int) error {
	if n < low || n > high {
		return fmt.Errorf("is %d, want %d to %d", n, low, high)
	}
	return nil
}

func oneOf(value string, choices ...string) error {
	if !slices.Contains(choices, value) {
		return fmt.Errorf("is %q, want %s", value, strings.Join(choices, " or "))
	}
	return nil
}
