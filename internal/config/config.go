package config

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/jetonhq/jeton/internal/mail"
	"github.com/jetonhq/jeton/internal/provision"
	"github.com/jetonhq/jeton/internal/secret"
)

// Config is everything an operator can decide about a server. Nothing reads it
// after the server was made: each package receives its own few fields.
type Config struct {
	// The URL of this authority, exactly as clients know it and as the `iss` of
	// every token says it. https, without query, fragment or trailing slash; it
	// may have a path. Plain http is accepted for a loopback host, or when
	// listen.trusted_proxies names who speaks https for us. Required.
	Issuer string `yaml:"issuer"`

	// Where browsers, apps and APIs reach the authority.
	Listen Listen `yaml:"listen"`

	// Health, metrics and the admin API, on a listener of their own. Keep it off
	// the internet.
	Manage Manage `yaml:"manage"`

	// Where accounts, clients, grants and keys are kept.
	Store Store `yaml:"store"`

	// The master key that seals secrets at rest: base64 of at least 32 random
	// bytes, for example from `openssl rand -base64 32`. Whoever has the database
	// and this key can sign tokens; without it the keys in the database are lost.
	// Required unless sealing.vault takes its place.
	SealingKey secret.Value `yaml:"sealing_key"`

	// The sealing key before this one. It only opens, until `jeton seal rewrap`
	// has been run; remove it then.
	SealingKeyPrevious secret.Value `yaml:"sealing_key_previous"`

	// Other places for the master key.
	Sealing Sealing `yaml:"sealing"`

	// How long tokens live, and what signs them.
	Tokens Tokens `yaml:"tokens"`

	// When keys change. A key is published before it signs, and verifies until what
	// it signed has expired: nobody notices.
	Keys Keys `yaml:"keys"`

	// Where the keys that servers verify with are pushed to, for servers that follow
	// them there.
	Publish Publish `yaml:"publish"`

	// How long a browser stays signed in.
	Sessions Sessions `yaml:"sessions"`

	// Passwords, and how often somebody may guess.
	SignIn SignIn `yaml:"sign_in"`

	// What guarded APIs follow to learn of revocations.
	Feed Feed `yaml:"feed"`

	// Which web pages of other origins may call the token, user-info and
	// revocation endpoints from a browser.
	CORS CORS `yaml:"cors"`

	// What the server writes to standard error.
	Log Log `yaml:"log"`

	// The trail of who changed what, and of what went wrong.
	Audit Audit `yaml:"audit"`

	// How events are carried out: to webhooks, by mail, and to clients whose
	// sessions ended. Webhooks are declared under provision, or by `jeton webhook`.
	Notify Notify `yaml:"notify"`

	// How the server stops.
	Shutdown Shutdown `yaml:"shutdown"`

	// Clients, resources, accounts, policies and webhooks that are brought to this state at each
	// start, as `jeton apply` does. Secrets come from secret_file or secret_env,
	// passwords from password_file or password_env, and never stand here.
	Provision provision.File `yaml:"provision"`
}

// Listen is the public listener.
type Listen struct {
	// Host and port. An empty host listens on every address.
	Address string `yaml:"address"`

	// Certificate and key in PEM, read again when they change. Without them the
	// server speaks plain http, to the trusted proxy that speaks https.
	TLS TLS `yaml:"tls"`

	// Networks, in CIDR notation, whose X-Forwarded-For is believed. Everyone
	// else's is ignored.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`
}

// TLS names the certificate of the public listener.
type TLS struct {
	// File with the certificate and its chain, in PEM.
	CertFile string `yaml:"cert_file"`

	// File with the private key, in PEM.
	KeyFile string `yaml:"key_file"`
}

// Sealing says which master key wraps the data keys that seal secrets at rest.
type Sealing struct {
	// key (sealing_key) or vault. The one that does not wrap still opens what it
	// has wrapped. Empty: vault if sealing.vault.url is set, else key.
	WrapWith string `yaml:"wrap_with"`

	// How long a start waits for a Vault that cannot be reached or is sealed.
	// After the start nothing depends on it.
	Patience time.Duration `yaml:"patience"`

	// A key in the transit engine of HashiCorp Vault or OpenBao.
	Vault Vault `yaml:"vault"`
}

// Vault names a transit key and says who we are there. It needs one of token,
// token_sink, and role_id with secret_id.
type Vault struct {
	// Address such as https://vault.example.com:8200. Empty: no Vault.
	URL string `yaml:"url"`

	// Namespace, for servers that have them.
	Namespace string `yaml:"namespace"`

	// Where the transit engine is mounted.
	Mount string `yaml:"mount"`

	// Name of the key, of type aes256-gcm96 or chacha20-poly1305. Make it there;
	// the token needs update on encrypt/<key> and decrypt/<key> of the mount.
	Key string `yaml:"key"`

	// Token, read once.
	Token secret.Value `yaml:"token"`

	// File in which an agent keeps a fresh token; read at each use.
	TokenSink string `yaml:"token_sink"`

	// Role id of an AppRole.
	RoleID string `yaml:"role_id"`

	// Secret id of the AppRole.
	SecretID secret.Value `yaml:"secret_id"`

	// Where the AppRole method is mounted.
	RoleMount string `yaml:"role_mount"`

	// File with the certificates, in PEM, of who may sign the server's. Empty:
	// the system's.
	CAFile string `yaml:"ca_file"`
}

// Manage is the management listener.
type Manage struct {
	// Host and port for /livez, /readyz, /healthz, /metrics and the admin API.
	Address string `yaml:"address"`

	// Bearer token of the admin API, at least 32 characters. Without one there is
	// no admin API.
	AdminToken secret.Value `yaml:"admin_token"`

	// A second token that works as well: the one before, until everybody who uses
	// it has the new one.
	AdminTokenPrevious secret.Value `yaml:"admin_token_previous"`
}

// Store names the database.
type Store struct {
	// sqlite: followed by the path of the database file, for one node. The file is
	// made when it is missing; its directory must exist. Or postgres:// and the rest
	// of a URL of PostgreSQL 15 or newer, for any number of nodes; it may name
	// several hosts, of which the one that takes writes is used.
	URL string `yaml:"url"`

	// What to do at start when the database has an older schema. auto: bring it up
	// to date. manual: do not start, and wait for somebody to run `jeton migrate up`.
	Migrate string `yaml:"migrate"`

	// Password for PostgreSQL, in place of one in the URL.
	Password secret.Value `yaml:"password"`

	// Connections to PostgreSQL that this node may have, at least 2. There is one
	// more, which listens.
	MaxConnections int `yaml:"max_connections"`

	// Redis, for what is short-lived. The records stay in the database above.
	Registry Registry `yaml:"registry"`
}

// Registry names the Redis that keeps the registry of tokens, and DPoP markers.
type Registry struct {
	// redis:// or, with TLS, rediss:// and host:port. Empty: the database keeps the
	// registry. Several hosts with commas between them are members of a cluster, or
	// with ?sentinel=NAME the Sentinels of the primary NAME. With ?ca=FILE the
	// certificates in that file are trusted in place of the system's. Its
	// maxmemory-policy has to be noeviction.
	URL string `yaml:"url"`

	// Password for Redis, in place of one in the URL.
	Password secret.Value `yaml:"password"`

	// Password for the Sentinels, if they want one.
	SentinelPassword secret.Value `yaml:"sentinel_password"`

	// Begins every key, for a Redis that others use too.
	Prefix string `yaml:"prefix"`

	// Replicas that must have the marker of a DPoP proof before the request goes on.
	// Without enough of them, requests with proofs fail.
	Replicas int `yaml:"replicas"`
}

// Values of store.migrate.
const (
	MigrateAuto   = "auto"
	MigrateManual = "manual"
)

// Tokens holds lifetimes and algorithms.
type Tokens struct {
	// Lifetime of access tokens, at most 1h, unless the client has its own.
	AccessLifetime time.Duration `yaml:"access_lifetime"`

	// Share by which access lifetimes differ from one another, from 0 to 0.5, so
	// that a fleet does not refresh at once.
	AccessJitter float64 `yaml:"access_jitter"`

	// Lifetime of ID tokens.
	IDLifetime time.Duration `yaml:"id_lifetime"`

	// Lifetime of authorization codes, at most 10m.
	CodeLifetime time.Duration `yaml:"code_lifetime"`

	// A refresh token that was not used for this long is dead.
	RefreshIdle time.Duration `yaml:"refresh_idle"`

	// A grant ends this long after it was made, however often it is refreshed.
	RefreshAbsolute time.Duration `yaml:"refresh_absolute"`

	// `aud` of access tokens of clients that have no audience of their own. Empty
	// means the issuer.
	DefaultAudience string `yaml:"default_audience"`

	// Algorithm that signs access tokens: ES256, Ed25519, ES384, RS256 or PS256. A
	// change is a rotation: the next key has it, the present one retires.
	AccessAlgorithm string `yaml:"access_algorithm"`

	// Whether DPoP proofs need a nonce that this server gave out: off or required.
	// Each proof is taken once either way. A nonce also keeps out proofs that
	// somebody made ahead while they had the use of the key, at the price of a second
	// request whenever a client has no nonce of the last five minutes.
	DPoPNonce string `yaml:"dpop_nonce"`
}

// Values of tokens.dpop_nonce.
const (
	Off      = "off"
	Required = "required"
)

// Keys holds the schedule of the key rings.
type Keys struct {
	// How long a key signs access tokens before the next takes over.
	AccessPeriod time.Duration `yaml:"access_period"`

	// How long a key signs ID tokens.
	IDPeriod time.Duration `yaml:"id_period"`

	// How long a key makes refresh tokens. It goes on being accepted until the
	// grants that depend on it have ended.
	RefreshPeriod time.Duration `yaml:"refresh_period"`

	// How long a key signs the state of sign-ins under way, and links in mails.
	FlowPeriod time.Duration `yaml:"flow_period"`

	// How long a secret of a named ring, shared with a fleet of servers, signs.
	SharedPeriod time.Duration `yaml:"shared_period"`

	// How long a key is published before it signs: longer than cache_time and twice
	// clock_skew together, and at most each period.
	Staging time.Duration `yaml:"staging"`

	// How long verifiers may keep the key set.
	CacheTime time.Duration `yaml:"cache_time"`

	// By how much the clock of a node may be wrong.
	ClockSkew time.Duration `yaml:"clock_skew"`

	// Algorithms of ID tokens that clients may be registered for. RS256 must be
	// among them (OpenID Connect Discovery section 3).
	IDAlgorithms []string `yaml:"id_algorithms"`

	// What becomes of the grants of a refresh key that was stolen. rotate: its
	// refresh tokens are refused, access tokens live out their minutes. end: the
	// grants end with all their tokens. Either way people stay signed in, and apps
	// whose user has a session get new tokens without asking.
	RefreshCompromise string `yaml:"refresh_compromise"`
}

// Publish names the coordination services that key rings are written to.
type Publish struct {
	// Who may read a ring of shared secrets: its name, a space, and a member's
	// public key as `jeton ring member` shows it. A ring without members is not
	// written.
	Members []string `yaml:"members"`

	// Apache ZooKeeper.
	ZooKeeper ZooKeeper `yaml:"zookeeper"`

	// etcd, through the JSON gateway that it serves beside gRPC.
	Etcd Etcd `yaml:"etcd"`
}

// ZooKeeper names an ensemble.
type ZooKeeper struct {
	// Servers, as host:port. None: nothing is written.
	Servers []string `yaml:"servers"`

	// Node under which each ring has one. It is made when it is missing.
	Path string `yaml:"path"`

	// User of the scheme digest. With one, only this user may write the nodes.
	User string `yaml:"user"`

	// Its password.
	Password secret.Value `yaml:"password"`

	// Whether to speak TLS: off or required.
	TLS string `yaml:"tls"`

	// File with the certificates, in PEM, of who may sign the servers'. Empty: the
	// system's.
	CAFile string `yaml:"ca_file"`

	// Certificate of ours, in PEM, if the servers ask for one.
	CertFile string `yaml:"cert_file"`

	// Its private key.
	KeyFile string `yaml:"key_file"`
}

// Etcd names a cluster.
type Etcd struct {
	// URLs of its members. None: nothing is written.
	Endpoints []string `yaml:"endpoints"`

	// What the keys begin with; a slash and the ring's name follow.
	Prefix string `yaml:"prefix"`

	// User of etcd's own authentication, if that is on.
	User string `yaml:"user"`

	// Its password.
	Password secret.Value `yaml:"password"`

	// File with the certificates, in PEM, of who may sign the members'. Empty: the
	// system's.
	CAFile string `yaml:"ca_file"`

	// Certificate of ours, in PEM, if the members ask for one.
	CertFile string `yaml:"cert_file"`

	// Its private key.
	KeyFile string `yaml:"key_file"`
}

// Sessions holds the lifetimes of sign-ins.
type Sessions struct {
	// A session that was not used for this long ends.
	Idle time.Duration `yaml:"idle"`

	// A session ends this long after the sign-in.
	Absolute time.Duration `yaml:"absolute"`

	// What to do when a session's cookie comes from another network (/24, or /56
	// of IPv6) than before. off: nothing. flag: write the event context_changed,
	// if the browser is another one too, or the operating system. enforce: also
	// ask to sign in again, which happens to everybody who takes a laptop home.
	IP string `yaml:"ip"`
}

// SignIn holds the rules for passwords.
type SignIn struct {
	// Fewest characters of a new password, at least 8.
	MinPassword int `yaml:"min_password"`

	// The acr that tokens of a person who signed in with a password say, and that
	// apps and APIs can ask for (acr_values, RFC 9470). Changing it means that who
	// is signed in signs in again where it is asked for.
	PasswordACR string `yaml:"password_acr"`

	// Failures of one login from one network (/24, or /56 of IPv6) that cost
	// nothing. After them each failure makes the next attempt wait.
	AccountFailures int `yaml:"account_failures"`

	// Failures from one network, over all logins, that cost nothing.
	AddressFailures int `yaml:"address_failures"`

	// Failures in a row, over all networks, after which a password works only
	// from networks where its account was signed in lately. At most 100.
	Ceiling int `yaml:"ceiling"`

	// The first wait. Each further failure doubles it.
	Delay time.Duration `yaml:"delay"`

	// The longest wait.
	MaxDelay time.Duration `yaml:"max_delay"`

	// How long after the last failure, or wait, counting starts afresh.
	Window time.Duration `yaml:"window"`

	// How long a network and a browser stay known after the last sign-in from
	// there. A sign-in from others writes the event new_device.
	KnownFor time.Duration `yaml:"known_for"`
}

// Feed holds the pace of the revocation feed.
type Feed struct {
	// Time between heartbeats on a quiet feed. A guard that hears nothing for
	// several of them stops trusting what it knows.
	Heartbeat time.Duration `yaml:"heartbeat"`
}

// CORS names the origins that browsers may call from.
type CORS struct {
	// Origins such as https://app.example.com, or * for any. No cookie is ever
	// accepted from them. /authorize has no such access at all.
	Origins []string `yaml:"origins"`
}

// Notify says how events are carried out, and with how much patience.
type Notify struct {
	// How long a receiver may take to answer one attempt.
	Timeout time.Duration `yaml:"timeout"`

	// What does not arrive is tried again, later each time, and given up after this.
	GiveUp time.Duration `yaml:"give_up"`

	// How long the log of deliveries remembers one after its end.
	Keep time.Duration `yaml:"keep"`

	// true or false: back-channel logout URIs of clients may be at private and
	// loopback addresses. For a company whose apps are in its own network; each
	// webhook has its own switch.
	PrivateLogout bool `yaml:"private_logout"`

	// The mail server that takes our mail. Without a host no mail is sent.
	SMTP SMTP `yaml:"smtp"`

	// Addresses of the administrators who get mail about forged tokens,
	// compromised keys, requests that wait for approval, and a database that is
	// older than what people hold.
	Admins []string `yaml:"admins"`

	// Which mails are sent, and how many.
	Mail Mail `yaml:"mail"`
}

// Mail says which mails are sent.
type Mail struct {
	// Mails that are not sent, of those to owners of accounts: new_device,
	// context_changed, refresh_token_reused, refresh_token_shared, brute_force,
	// password_set, email_changed, code_replayed, tokens_minted; and of those to
	// administrators: forged_token, key_compromised, mint_requested,
	// refresh_token_ahead. What happened stands in the audit trail in any case.
	Without []string `yaml:"without"`

	// Mail owners at addresses that were not verified, too. Such an address may be
	// somebody else's.
	Unverified bool `yaml:"unverified"`

	// Most mails to one account, or one administrator, in an hour. One more says
	// that more happened; then there is silence for an hour.
	PerHour int `yaml:"per_hour"`

	// Most mails to one account, or one administrator, in 24 hours.
	PerDay int `yaml:"per_day"`

	// Directory with mail templates that take the place of ours, by file name.
	// Read at start, which fails when one cannot be used.
	Templates string `yaml:"templates"`
}

// SMTP is a mail server.
type SMTP struct {
	// Name or address. A name is what its certificate is checked for.
	Host string `yaml:"host"`

	// Port; 0 is 587 with starttls, 465 with tls and 25 with none.
	Port int `yaml:"port"`

	// starttls, tls (from the first byte), or none, which is for a server on a
	// loopback address. A server that does not offer starttls then gets nothing.
	TLS string `yaml:"tls"`

	// User to sign in as. Empty does not sign in.
	User string `yaml:"user"`

	// Password of the user.
	Password secret.Value `yaml:"password"`

	// Address that mail comes from, such as "Example <id@example.com>".
	From string `yaml:"from"`

	// Address that answers go to. Empty: the one that mail comes from.
	ReplyTo string `yaml:"reply_to"`

	// File with the certificates, in PEM, of the authorities that the server's
	// certificate is checked against. Empty: those of the system.
	CAFile string `yaml:"ca_file"`
}

// Log says how to write log lines.
type Log struct {
	// json or text.
	Format string `yaml:"format"`

	// debug, info, warn or error.
	Level slog.Level `yaml:"level"`
}

// Audit holds the retention of the audit trail.
type Audit struct {
	// How long events are kept.
	Keep time.Duration `yaml:"keep"`
}

// Shutdown holds the patience of a stop.
type Shutdown struct {
	// How long a server that was told to stop still takes requests, while /readyz
	// says no: long enough for a load balancer to have asked, and to send the next
	// ones elsewhere. 0 for a server that is alone.
	Notice time.Duration `yaml:"notice"`

	// How long requests that are being answered may take to finish.
	Drain time.Duration `yaml:"drain"`
}

// Default is the configuration of an empty file. It lacks an issuer and a
// sealing key, which nobody can choose for the operator.
func Default() Config {
	return Config{
		Listen: Listen{Address: ":8080"},
		Manage: Manage{Address: "127.0.0.1:8082"},
		Store:  Store{URL: "sqlite:jeton.db", Migrate: MigrateAuto, MaxConnections: 10, Registry: Registry{Prefix: "jeton:"}},
		Sealing: Sealing{
			Patience: time.Minute,
			Vault:    Vault{Mount: "transit", RoleMount: "approle"},
		},
		Tokens: Tokens{
			AccessLifetime:  5 * time.Minute,
			AccessJitter:    0.05,
			IDLifetime:      5 * time.Minute,
			CodeLifetime:    time.Minute,
			RefreshIdle:     14 * 24 * time.Hour,
			RefreshAbsolute: 90 * 24 * time.Hour,
			AccessAlgorithm: "ES256",
			DPoPNonce:       Off,
		},
		Keys: Keys{
			AccessPeriod:      30 * 24 * time.Hour,
			IDPeriod:          90 * 24 * time.Hour,
			RefreshPeriod:     90 * 24 * time.Hour,
			FlowPeriod:        30 * 24 * time.Hour,
			SharedPeriod:      30 * 24 * time.Hour,
			Staging:           time.Hour,
			CacheTime:         10 * time.Minute,
			ClockSkew:         time.Minute,
			IDAlgorithms:      []string{"RS256", "ES256", "Ed25519"},
			RefreshCompromise: "rotate",
		},
		Publish:  Publish{ZooKeeper: ZooKeeper{Path: "/jeton", TLS: Off}, Etcd: Etcd{Prefix: "/jeton"}},
		Sessions: Sessions{Idle: time.Hour, Absolute: 24 * time.Hour, IP: "flag"},
		SignIn: SignIn{
			MinPassword:     15,
			PasswordACR:     "urn:jeton:pwd",
			AccountFailures: 10,
			AddressFailures: 100,
			Ceiling:         100,
			Delay:           time.Second,
			MaxDelay:        15 * time.Minute,
			Window:          15 * time.Minute,
			KnownFor:        180 * 24 * time.Hour,
		},
		Feed: Feed{Heartbeat: 500 * time.Millisecond},
		CORS: CORS{Origins: []string{"*"}},
		Notify: Notify{
			Timeout: 10 * time.Second, GiveUp: 72 * time.Hour, Keep: 7 * 24 * time.Hour,
			SMTP: SMTP{TLS: mail.StartTLS},
			Mail: Mail{PerHour: 10, PerDay: 30},
		},
		Log:      Log{Format: "json", Level: slog.LevelInfo},
		Audit:    Audit{Keep: 90 * 24 * time.Hour},
		Shutdown: Shutdown{Drain: 10 * time.Second},
	}
}
