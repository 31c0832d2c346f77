package server

import (
	"fmt"

	"github.com/jetonhq/jeton/internal/mail"
)

// openMail makes the channel for mails, nil when there is no mail server. It
// does not connect: a server that is down now takes the mails later.
func (s *Server) openMail() (*mail.Channel, error) {
	c := s.cfg.Notify
	if c.SMTP.Host == "" {
		return nil, nil
	}
	to, err := c.SMTP.Server()
	if err != nil {
		return nil, err
	}
	transport, err := mail.NewTransport(to)
	if err != nil {
		return nil, err
	}
	templates, err := mail.LoadTemplates(c.Mail.Templates)
	if err != nil {
		return nil, fmt.Errorf("notify.mail.templates: %w", err)
	}
	return mail.New(mail.Config{
		Issuer: s.cfg.Issuer, Store: s.store, Links: s.notMe, Transport: transport, Templates: templates,
		Limits:  mail.Limits{PerHour: c.Mail.PerHour, PerDay: c.Mail.PerDay},
		Without: c.Mail.Without, Admins: c.Admins, Unverified: c.Mail.Unverified, Now: s.now,
	})
}
