package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// DevFile is what `jeton dev` writes to dev.json, so that scripts and other
// commands can drive it. It holds secrets, so it does not print.
type DevFile struct {
	Issuer     string      `json:"issuer"`
	API        string      `json:"api"`    // base URL of the example API
	Manage     string      `json:"manage"` // base URL of the management listener
	AdminToken string      `json:"admin_token"`
	User       DevUser     `json:"user"`
	Clients    DevClients  `json:"clients"`
	Resource   DevResource `json:"resource"`
}

// DevUser is the account that can sign in.
type DevUser struct {
	Login    string `json:"login"`
	Password string `json:"password"`
}

// DevClients are the example's clients.
type DevClients struct {
	Machine DevClient `json:"machine"` // client credentials
	Web     DevClient `json:"web"`     // confidential, code and refresh
	SPA     DevClient `json:"spa"`     // public, PKCE
	BFF     DevClient `json:"bff"`     // confidential, of the example's session cookies; its own, so nobody is asked for consent
}

// DevClient is one of them.
type DevClient struct {
	ID          string `json:"id"`
	Secret      string `json:"secret,omitempty"`
	RedirectURI string `json:"redirect_uri,omitempty"`
}

// DevResource is the example API's own client.
type DevResource struct {
	ID       string `json:"id"`
	Secret   string `json:"secret"`
	Audience string `json:"audience"`
}

// Format implements fmt.Formatter for every verb.
func (DevFile) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[dev.json]") }

// Format implements fmt.Formatter for every verb.
func (DevUser) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[user]") }

// Format implements fmt.Formatter for every verb.
func (DevClient) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[client]") }

// Format implements fmt.Formatter for every verb.
func (DevResource) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[resource]") }

// DevDir is the directory in which `jeton dev` keeps its state unless told
// otherwise: jeton/dev under $XDG_STATE_HOME, or under ~/.local/state.
func DevDir(environ []string) (string, error) {
	env := environment(environ)
	if state, ok := env.lookup("XDG_STATE_HOME"); ok && filepath.IsAbs(state) {
		return filepath.Join(state, "jeton", "dev"), nil
	}
	if home, ok := env.lookup("HOME"); ok {
		return filepath.Join(home, ".local", "state", "jeton", "dev"), nil
	}
	return "", errors.New("neither XDG_STATE_HOME nor HOME is set, so there is no place for state: use --data")
}

// DevPath is the place of dev.json in a data directory.
func DevPath(data string) string { return filepath.Join(data, "dev.json") }

// ReadDevFile reads the dev.json of a data directory.
func ReadDevFile(data string) (DevFile, error) {
	content, err := os.ReadFile(DevPath(data))
	if err != nil {
		return DevFile{}, err
	}
	var d DevFile
	if err := json.Unmarshal(content, &d); err != nil {
		return DevFile{}, fmt.Errorf("%s: %w", DevPath(data), err)
	}
	return d, nil
}

// WriteDevFile writes the dev.json of a data directory with mode 0600. A reader
// sees the old file or the new one, never a part.
func WriteDevFile(data string, d DevFile) error {
	content, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(data, ".dev-*.json") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // gone already after the rename
	if _, err := temporary.Write(append(content, '\n')); err != nil {
		return errors.Join(err, temporary.Close())
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), DevPath(data))
}
