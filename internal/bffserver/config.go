package bffserver

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/bff"
	"github.com/jetonhq/jeton/client"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/secret"
)

// Prefix begins the variables that override keys of the file.
const Prefix = "JETON_BFF_"

// Config is the file of `jeton bff`. [bff.Config] says more about most keys.
type Config struct {
	// The authority, exactly as in the iss of its tokens. Required.
	Issuer string `yaml:"issuer"`

	// The app's own client at the authority. Both are required.
	ClientID     string       `yaml:"client_id"`
	ClientSecret secret.Value `yaml:"client_secret"`

	// The origin that browsers know, such as https://shop.example.com. Required.
	PublicURL string `yaml:"public_url"`

	// Host and port for browsers, which a proxy with TLS is in front of.
	Listen string `yaml:"listen"`

	// Host and port for /livez, /readyz and /metrics. Keep it off the internet.
	Manage string `yaml:"manage"`

	// Below what the app's own routes are.
	Path string `yaml:"path"`

	// Scope asked for at sign-in, separated by spaces.
	Scope string `yaml:"scope"`

	// Claims about the person that the browser may know.
	Claims []string `yaml:"claims"`

	// The APIs that requests are passed on to: path, with a slash at both ends,
	// and URL.
	Upstreams map[string]string `yaml:"upstreams"`

	// Files of the app.
	Static Static `yaml:"static"`

	// Sessions of people.
	Sessions Sessions `yaml:"sessions"`

	// Where people get after signing out at the authority too.
	SignedOutPath string `yaml:"signed_out_path"`

	// Allow plain http to an authority that is not on this machine.
	InsecureHTTP bool `yaml:"insecure_http"`

	// What is written to standard error.
	Log config.Log `yaml:"log"`
}

// Static names the app's files.
type Static struct {
	// Directory with them, index.html among them. Without one there are none.
	Dir string `yaml:"dir"`

	// Answer paths that are no file with index.html, for apps that have their
	// routes in the browser.
	Fallback bool `yaml:"fallback"`

	// The Content-Security-Policy of the files.
	ContentSecurityPolicy string `yaml:"content_security_policy"`
}

// Sessions says how long they last and where they are kept.
type Sessions struct {
	// Directory, which several processes on this machine may share. Without one
	// sessions end with the process.
	Dir string `yaml:"dir"`

	// Keys that seal them, one per line, each at least 32 characters, for example
	// from `openssl rand -base64 32`. The first seals, and all open. Required with
	// dir; usually in a file (key_file).
	Key secret.Value `yaml:"key"`

	// A session that was not used for this long ends.
	Idle time.Duration `yaml:"idle"`

	// A session ends this long after the sign-in.
	Absolute time.Duration `yaml:"absolute"`

	// SameSite=Strict for the cookie, instead of Lax.
	StrictCookie bool `yaml:"strict_cookie"`
}

// Load reads the file and the environment, given as [os.Environ] does, and
// checks what can be checked without opening anything.
func Load(path string, environ []string) (Config, error) {
	c := Config{
		Listen: "127.0.0.1:8085", Manage: "127.0.0.1:8086", Path: "/auth", SignedOutPath: "/",
		Sessions: Sessions{Idle: time.Hour, Absolute: 24 * time.Hour},
		Log:      config.Log{Format: "json"},
	}
	problems := []error{config.Read(path, environ, Prefix, &c)}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		problems = append(problems, errors.New("log.format: is neither json nor text"))
	}
	if c.Sessions.Dir != "" && c.Sessions.Key.Empty() {
		problems = append(problems, errors.New("sessions.key: is required with sessions.dir"))
	}
	if c.Static.Dir != "" {
		if info, err := os.Stat(c.Static.Dir); err != nil || !info.IsDir() {
			problems = append(problems, fmt.Errorf("static.dir: %s is no directory", c.Static.Dir))
		}
	}
	return c, errors.Join(problems...)
}

// app is the configuration of the app itself.
func (c Config) app() (bff.Config, error) {
	settings := bff.Config{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: client.NewSecret(c.ClientSecret.Reveal()), PublicURL: c.PublicURL,
		Path: c.Path, Scope: c.Scope, Claims: c.Claims, SignedOutPath: c.SignedOutPath, InsecureHTTP: c.InsecureHTTP,
		Idle: c.Sessions.Idle, Absolute: c.Sessions.Absolute, StrictCookie: c.Sessions.StrictCookie,
	}
	for key := range strings.FieldsSeq(c.Sessions.Key.Reveal()) {
		settings.Keys = append(settings.Keys, client.NewSecret(key))
	}
	for _, path := range slices.Sorted(maps.Keys(c.Upstreams)) {
		settings.Upstreams = append(settings.Upstreams, bff.Upstream{Path: path, URL: c.Upstreams[path]})
	}
	if c.Sessions.Dir == "" {
		return settings, nil
	}
	store, err := bff.OpenDirectory(c.Sessions.Dir)
	settings.Store = store
	return settings, err
}
