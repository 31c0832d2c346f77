package mail

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/jetonhq/jeton/internal/secret"
)

// How the connection to a mail server is encrypted.
const (
	StartTLS    = "starttls" // RFC 3207, and never without: a server that does not offer it gets nothing
	ImplicitTLS = "tls"      // from the first byte (RFC 8314)
	NoTLS       = "none"     // for a server on a loopback address
)

// Server is the mail server that takes our mail, and what we say to it.
type Server struct {
	Host     string // name or address; a name is what its certificate is checked for
	Port     int    // default: 587 with StartTLS, 465 with ImplicitTLS, 25 with NoTLS
	TLS      string // StartTLS (default), ImplicitTLS or NoTLS
	User     string // "" does not sign in
	Password secret.Value
	From     string         // address every mail comes from, "Name <address>" or the address alone
	ReplyTo  string         // where answers go; "" sets no Reply-To
	Roots    *x509.CertPool // whom to trust for the certificate; nil: the system's roots
	Timeout  time.Duration  // for connecting, and again for each mail; default 30 s
}

// Check reports everything that is wrong with s, without connecting.
func (s Server) Check() error {
	_, err := s.checked()
	return err
}

// checked fills in the defaults and refuses what could not work, or would send
// mail or a password in the clear over a network.
func (s Server) checked() (Server, error) {
	var problems []error
	refuse := func(wrong bool, text string) {
		if wrong {
			problems = append(problems, errors.New(text))
		}
	}
	s.TLS = cmp.Or(s.TLS, StartTLS)
	ports := map[string]int{StartTLS: 587, ImplicitTLS: 465, NoTLS: 25}
	refuse(s.Host == "", "there is no host")
	refuse(ports[s.TLS] == 0, "the TLS mode is not starttls, tls or none")
	refuse(s.TLS == NoTLS && !loopback(s.Host), "mail without TLS goes to a loopback address only")
	refuse((s.User == "") != s.Password.Empty(), "user and password go together")
	refuse(s.Port < 0 || s.Port > 65535, "the port is not between 1 and 65535")
	refuse(s.Timeout < 0, "the timeout is negative")
	if _, err := ParseSender(s.From); err != nil {
		problems = append(problems, fmt.Errorf("from: %w", err))
	}
	if s.ReplyTo != "" {
		if _, err := ParseSender(s.ReplyTo); err != nil {
			problems = append(problems, fmt.Errorf("reply-to: %w", err))
		}
	}
	s.Port = cmp.Or(s.Port, ports[s.TLS])
	s.Timeout = cmp.Or(s.Timeout, 30*time.Second)
	return s, errors.Join(problems...)
}

func (s Server) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

func (s Server) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
