package notify

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Receivers are chosen by whoever registers a webhook or a client, and this
// server may stand in a network that those people cannot reach. So an address is
// looked at when it is dialled, after its name was resolved: what a name resolved
// to earlier says nothing.

// errPrivate is an address that is not public.
var errPrivate = errors.New("its address is not public")

// special are the networks that no receiver on the internet has, beside those
// that netip names (IANA special-purpose registries).
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10", "5f00::/16",
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// public reports whether an address can be one on the internet.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// refusePrivate is a dialer's Control: it runs with the address that is about to
// be connected to.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %q: %w", address, err)
	}
	if !public(to.Addr()) {
		return errPrivate
	}
	return nil
}

// Limits of what a receiver answers with.
const (
	maxAnswerHeader = 16 << 10
	maxAnswer       = 64 << 10
)

// newClient makes the HTTP client for receivers. It uses no proxy, which would
// connect wherever it is told to, and follows no redirect.
func newClient(allowPrivate bool) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if !allowPrivate {
		dialer.Control = refusePrivate
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    5 * time.Second,
			MaxIdleConnsPerHost:    laneBatch,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: maxAnswerHeader,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// clients are the HTTP clients for public receivers, and for any.
type clients struct{ public, any *http.Client }

func newClients() clients { return clients{public: newClient(false), any: newClient(true)} }

func (c clients) of(allowPrivate bool) *http.Client {
	if allowPrivate {
		return c.any
	}
	return c.public
}

// CheckURL holds a receiver's address to what can be sent to safely: https, or
// http to a loopback address if private ones are allowed, without a user and
// without a fragment.
func CheckURL(text string, allowPrivate bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is not an https URL")
	case u.User != nil:
		return errors.New("must not hold a user or password")
	case u.Fragment != "" || u.RawFragment != "":
		return errors.New("must not have a fragment")
	case u.Scheme == "http" && (!allowPrivate || !loopback(u.Hostname())):
		return errors.New("must be https; http is for loopback addresses, when private ones are allowed")
	}
	if to, err := netip.ParseAddr(u.Hostname()); err == nil && !allowPrivate && !public(to) {
		return errPrivate
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
