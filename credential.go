package jeton

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
)

// Credential is how the guard shows the authority who it is. The zero Credential is none. It does not print.
type Credential struct {
	id     string
	secret *string // behind a pointer, so that no way of printing reaches it
}

// ClientSecret is the id and secret of the client that the resource has at the authority. They are sent as
// client_secret_basic (RFC 6749 section 2.3.1), to the authority only.
func ClientSecret(id, secret string) Credential { return Credential{id, &secret} }

// Format prints the client's id.
func (c Credential) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.text()) }

// LogValue prints the client's id.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.text()) }

// MarshalText writes the client's id.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.text()), nil }

func (c Credential) text() string {
	if c.none() {
		return "no credential"
	}
	return "client " + c.id
}

func (c Credential) none() bool { return c.secret == nil }

// authorize adds the credential to a request.
func (c Credential) authorize(r *http.Request) error {
	r.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(*c.secret))
	return nil
}
