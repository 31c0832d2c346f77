package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwk"
)

// MembersByRing reads publish.members: who may read each ring of shared secrets.
func (p Publish) MembersByRing() (map[string][]jwk.Member, error) {
	members := make(map[string][]jwk.Member)
	for _, text := range p.Members {
		ring, key, ok := strings.Cut(text, " ")
		if !ok {
			return nil, errors.New("want a ring's name, a space, and a member's public key")
		}
		if err := authority.CheckSharedRing(ring); err != nil {
			return nil, err
		}
		m, err := jwk.ParseMember(strings.TrimSpace(key))
		if err != nil {
			return nil, fmt.Errorf("member of ring %s: %w", ring, err)
		}
		members[ring] = append(members[ring], m)
	}
	return members, nil
}

// ClientTLS is how to speak to the ensemble; nil without TLS.
func (z ZooKeeper) ClientTLS() (*tls.Config, error) {
	if z.TLS != Required {
		return nil, nil
	}
	return clientTLS(z.CAFile, z.CertFile, z.KeyFile)
}

// ClientTLS is how to speak to members whose URL is https.
func (e Etcd) ClientTLS() (*tls.Config, error) { return clientTLS(e.CAFile, e.CertFile, e.KeyFile) }

func clientTLS(ca, cert, key string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca) // #nosec G304 -- the operator's own
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate in PEM", ca)
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cert_file and key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// checkPublish reports what is wrong with where keys are pushed to.
func (c Config) checkPublish() []error {
	var problems []error
	check := func(setting string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("publish.%s: %w", setting, err))
		}
	}
	_, err := c.Publish.MembersByRing()
	check("members", err)
	if z := c.Publish.ZooKeeper; len(z.Servers) > 0 {
		for _, server := range z.Servers {
			check("zookeeper.servers", checkAddress(server))
		}
		if !strings.HasPrefix(z.Path, "/") || strings.HasSuffix(z.Path, "/") || strings.Contains(z.Path, "//") {
			check("zookeeper.path", errors.New("must begin with a slash and not end with one"))
		}
		check("zookeeper.tls", oneOf(z.TLS, Off, Required))
		check("zookeeper.user", together(z.User != "", !z.Password.Empty(), "password"))
		_, err := z.ClientTLS()
		check("zookeeper", err)
	}
	if e := c.Publish.Etcd; len(e.Endpoints) > 0 {
		for _, endpoint := range e.Endpoints {
			u, err := url.Parse(endpoint)
			if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
				check("etcd.endpoints", errors.New("want URLs such as https://etcd1:2379"))
			}
		}
		if e.Prefix == "" || strings.HasSuffix(e.Prefix, "/") {
			check("etcd.prefix", errors.New("must not be empty and not end with a slash"))
		}
		check("etcd.user", together(e.User != "", !e.Password.Empty(), "password"))
		_, err := e.ClientTLS()
		check("etcd", err)
	}
	return problems
}

// together refuses one of two settings without the other.
func together(a, b bool, other string) error {
	if a != b {
		return fmt.Errorf("and %s are set together or not at all", other)
	}
	return nil
}
