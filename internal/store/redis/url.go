package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// place is what a URL says.
type place struct {
	hosts          []string // host:port
	user, password string
	database       int
	sentinel       string // the primary's name; "": the hosts are no Sentinels
	tls            *tls.Config
}

var errURL = errors.New("the URL is not one of Redis")

// parseURL reads a URL. Its errors do not show it: it may hold a password.
func parseURL(text string) (place, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	if scheme != "redis" && scheme != "rediss" {
		return place{}, errURL
	}
	// Several hosts are not what package url takes: it gets one.
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	credentials, hosts := "", authority
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		credentials, hosts = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse(scheme + "://" + credentials + "host" + tail)
	if err != nil || u.Fragment != "" {
		return place{}, errURL
	}
	p := place{user: u.User.Username()}
	p.password, _ = u.User.Password()
	return p, errors.Join(p.path(u.Path), p.query(u.Query(), scheme == "rediss"), p.addresses(hosts))
}

func (p *place) path(path string) (err error) {
	if path = strings.Trim(path, "/"); path == "" {
		return nil
	}
	if p.database, err = strconv.Atoi(path); err != nil || p.database < 0 {
		return errors.New("the path of Redis's URL is the number of a database")
	}
	return nil
}

func (p *place) query(q url.Values, encrypted bool) error {
	for name := range q {
		if name != "sentinel" && name != "ca" {
			return fmt.Errorf("the URL of Redis has the parameters sentinel and ca, and not %q", name)
		}
	}
	p.sentinel = q.Get("sentinel")
	if encrypted {
		p.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	file := q.Get("ca")
	switch {
	case file == "":
		return nil
	case p.tls == nil:
		return errors.New("the URL of Redis has a ca and is not rediss://")
	}
	pem, err := os.ReadFile(file) // #nosec G304 -- the operator names it
	if err != nil {
		return err
	}
	p.tls.RootCAs = x509.NewCertPool()
	if !p.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate", file)
	}
	return nil
}

func (p *place) addresses(hosts string) error {
	port := "6379"
	if p.sentinel != "" {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		name, number, err := net.SplitHostPort(host)
		if err != nil {
			name, number = strings.Trim(host, "[]"), port
		}
		if name == "" {
			return errURL
		}
		p.hosts = append(p.hosts, net.JoinHostPort(name, number))
	}
	return nil
}
