package authority

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// Context is where a request came from. Network is the /24 or /56 prefix of
// the address, never the whole address.
type Context struct {
	Network   string
	UserAgent string
}

// IPMode says what is done when a session or token is used from another network
// than before.
type IPMode string

const (
	IPOff     IPMode = "off"     // nothing
	IPFlag    IPMode = "flag"    // it is recorded, when the user agent is another too
	IPEnforce IPMode = "enforce" // it is refused
)

// Why a use is not like those before it: the Reason of an event of type
// EventContextChanged or EventNewDevice.
const (
	ChangedNetwork   = "network"                // the network alone
	ChangedUserAgent = "user_agent"             // the browser or program alone
	ChangedBoth      = "network_and_user_agent" // both
	ChangedPlatform  = "impossible"             // a session's cookie on another operating system: it was copied
)

// Changed says how c differs from all known contexts, in network and in user
// agent: "" when it does not. An update of a browser is no difference. A part of
// which nothing is known on one side is not compared.
func (c Context) Changed(known ...Context) string {
	network := differs(c.Network, known, func(k Context) string { return k.Network })
	agent := differs(Family(c.UserAgent), known, func(k Context) string { return Family(k.UserAgent) })
	switch {
	case network && agent:
		return ChangedBoth
	case network:
		return ChangedNetwork
	case agent:
		return ChangedUserAgent
	}
	return ""
}

// Impossible reports whether c is on another operating system than all known
// contexts, which no cookie gets to by itself.
func (c Context) Impossible(known ...Context) bool {
	return differs(platform(c.UserAgent), known, func(k Context) string { return platform(k.UserAgent) })
}

// Elsewhere reports whether c is in another network than all known contexts of
// the same address family. One that is known by IPv4 alone may be anywhere by
// IPv6: nothing says which addresses of the two are one place.
func (c Context) Elsewhere(known ...Context) bool {
	v6 := strings.Contains(c.Network, ":")
	return differs(c.Network, known, func(k Context) string {
		if strings.Contains(k.Network, ":") != v6 {
			return ""
		}
		return k.Network
	})
}

// differs reports whether something is known and value is none of it.
func differs(value string, known []Context, of func(Context) string) bool {
	some := false
	for _, k := range known {
		part := of(k)
		if part == value {
			return false
		}
		some = some || part != ""
	}
	return some && value != ""
}

// browsers are looked for in this order: most also call themselves the ones
// below them.
var browsers = []struct{ mark, name string }{
	{"Edg", "edge"}, {"OPR/", "opera"}, {"Opera", "opera"}, {"Vivaldi/", "vivaldi"}, {"SamsungBrowser/", "samsung"}, {"YaBrowser/", "yandex"},
	{"FxiOS/", "firefox"}, {"Firefox/", "firefox"}, {"CriOS/", "chrome"}, {"Chrome/", "chrome"}, {"Chromium/", "chrome"}, {"Safari/", "safari"},
}

// platforms name an operating system only as closely as a browser sticks to it:
// "desktop site" makes an iPad say Macintosh, and Android say Linux.
var platforms = []struct{ mark, name string }{
	{"Windows", "windows"}, {"iPhone", "apple"}, {"iPad", "apple"}, {"Macintosh", "apple"},
	{"Android", "linux"}, {"CrOS", "linux"}, {"Linux", "linux"},
}

// Family is what stays of a user agent over its updates: browser and operating
// system, such as "firefox linux", or the name of a program without its version.
func Family(agent string) string {
	system := platform(agent)
	if b := browser(agent); b != "" {
		return strings.TrimSpace(b + " " + system)
	}
	name, _, _ := strings.Cut(strings.TrimSpace(agent), " ")
	name, _, _ = strings.Cut(name, "/")
	return strings.TrimSpace(strings.ToLower(name) + " " + system)
}

func browser(agent string) string {
	for _, b := range browsers {
		if strings.Contains(agent, b.mark) {
			return b.name
		}
	}
	return ""
}

func platform(agent string) string {
	i := slices.IndexFunc(platforms, func(p struct{ mark, name string }) bool { return strings.Contains(agent, p.mark) })
	if i < 0 {
		return ""
	}
	return platforms[i].name
}

// Mark is a digest that stands for a network or a user agent of one account.
// It is never zero.
type Mark [16]byte

// NetworkKey is the key of digests that stand for networks, as it is stored: one of
// both is empty.
type NetworkKey struct{ Clear, Sealed []byte }

// NetworkKeyPlace is what it is sealed for.
const NetworkKeyPlace = "meta/network_key"

// ContextStore keeps what tells a known place from a new one.
type ContextStore interface {
	// NetworkKey is the key of digests that stand for networks, the same for every
	// node: random, made with the database and in clear there, until it is sealed.
	NetworkKey(ctx context.Context) (NetworkKey, error)
	// SealNetworkKey replaces the key in clear by the same key sealed. ErrConflict:
	// somebody has.
	SealNetworkKey(ctx context.Context, sealed []byte) error
	// Marks are the account's marks that last beyond now, with how long. before
	// reports whether it ever had one.
	Marks(ctx context.Context, account secret.ID, now time.Time) (marks map[Mark]time.Time, before bool, err error)
	// KeepMarks adds marks to the account, or makes those it has last until then,
	// and writes a non-nil event, in one commit. Of more than most the account
	// keeps those that last longest.
	KeepMarks(ctx context.Context, account secret.ID, marks []Mark, until time.Time, most int, e *Event) error
}
