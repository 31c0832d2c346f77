package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jetonhq/jeton/internal/mail"
)

func (c Config) checkNotify(check func(setting string, err error)) {
	n := c.Notify
	if n.SMTP.Host != "" {
		check("notify.smtp", n.SMTP.server().Check())
		// The limit of a day counts what the log of deliveries holds.
		check("notify.keep", atLeast(n.Keep, 24*time.Hour))
	}
	for _, address := range n.Admins {
		if _, err := mail.ParseRecipient(address); err != nil {
			check("notify.admins", fmt.Errorf("%q: %w", address, err))
		}
	}
	for _, name := range n.Mail.Without {
		check("notify.mail.without", oneOf(name, mail.KindNames()...))
	}
	check("notify.mail.per_hour", between(n.Mail.PerHour, 1, 400))
	check("notify.mail.per_day", between(n.Mail.PerDay, n.Mail.PerHour, 400))
}

func (s SMTP) server() mail.Server {
	return mail.Server{Host: s.Host, Port: s.Port, TLS: s.TLS, User: s.User, Password: s.Password, From: s.From, ReplyTo: s.ReplyTo}
}

// Server is the mail server as package mail wants it, with the authorities of
// CAFile.
func (s SMTP) Server() (mail.Server, error) {
	server := s.server()
	if s.CAFile == "" {
		return server, nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return server, fmt.Errorf("notify.smtp.ca_file: %w", err)
	}
	server.Roots = x509.NewCertPool()
	if !server.Roots.AppendCertsFromPEM(pem) {
		return server, errors.New("notify.smtp.ca_file: there is no certificate in it")
	}
	return server, nil
}
