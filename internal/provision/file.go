package provision

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/secret"
)

// File is a declared state as people write it: an [admin.Document] whose
// secrets stand elsewhere.
type File struct {
	Clients   []Client             `yaml:"clients"`
	Resources []admin.ResourceSpec `yaml:"resources"`
	Accounts  []Account            `yaml:"accounts"`
	Policies  []admin.PolicySpec   `yaml:"policies"`
	Webhooks  []Webhook            `yaml:"webhooks"`
	Prune     bool                 `yaml:"prune"`
}

// Client is a client of a File.
type Client struct {
	admin.ClientSpec `yaml:",inline"`

	SecretFile string `yaml:"secret_file"` // file that holds its secret
	SecretEnv  string `yaml:"secret_env"`  // environment variable that holds its secret

	secret secret.Value
}

// Webhook is a webhook of a File.
type Webhook struct {
	admin.WebhookSpec `yaml:",inline"`

	SecretFile string `yaml:"secret_file"` // file that holds its secret
	SecretEnv  string `yaml:"secret_env"`  // environment variable that holds its secret

	secret secret.Value
}

// Account is an account of a File.
type Account struct {
	admin.AccountSpec `yaml:",inline"`

	PasswordFile string `yaml:"password_file"` // file that holds its first password
	PasswordEnv  string `yaml:"password_env"`  // environment variable that holds its first password

	password secret.Value
}

// Empty reports whether f declares nothing.
func (f File) Empty() bool {
	return len(f.Clients) == 0 && len(f.Resources) == 0 && len(f.Accounts) == 0 && len(f.Policies) == 0 && len(f.Webhooks) == 0 && !f.Prune
}

// Resolve reads the secrets that f names, through lookup (such as
// [os.LookupEnv]) and from files. It reports all that cannot be read.
func (f *File) Resolve(lookup func(string) (string, bool)) error {
	var problems []error
	for i := range f.Clients {
		c := &f.Clients[i]
		var err error
		if c.secret, err = read(c.SecretFile, c.SecretEnv, lookup); err != nil {
			problems = append(problems, fmt.Errorf("client %q: secret: %w", c.ID, err))
		}
	}
	for i := range f.Accounts {
		a := &f.Accounts[i]
		var err error
		if a.password, err = read(a.PasswordFile, a.PasswordEnv, lookup); err != nil {
			problems = append(problems, fmt.Errorf("account %q: password: %w", a.Login, err))
		}
	}
	for i := range f.Webhooks {
		w := &f.Webhooks[i]
		var err error
		if w.secret, err = read(w.SecretFile, w.SecretEnv, lookup); err != nil {
			problems = append(problems, fmt.Errorf("webhook %q: secret: %w", w.Name, err))
		}
	}
	return errors.Join(problems...)
}

func read(file, variable string, lookup func(string) (string, bool)) (secret.Value, error) {
	switch {
	case file != "" && variable != "":
		return secret.Value{}, errors.New("name a file or an environment variable, not both")
	case variable != "":
		value, ok := lookup(variable)
		if !ok || value == "" {
			return secret.Value{}, fmt.Errorf("environment variable %s is not set", variable)
		}
		return secret.New(value), nil
	case file != "":
		content, err := os.ReadFile(file)
		if err != nil {
			return secret.Value{}, err
		}
		value := strings.TrimRight(string(content), "\r\n")
		if value == "" {
			return secret.Value{}, fmt.Errorf("file %s is empty", file)
		}
		return secret.New(value), nil
	}
	return secret.Value{}, nil
}

// Document is f with the secrets that Resolve read.
func (f File) Document() admin.Document {
	d := admin.Document{Resources: f.Resources, Policies: f.Policies, Prune: f.Prune}
	for _, c := range f.Clients {
		d.Clients = append(d.Clients, admin.NewClient{ClientSpec: c.ClientSpec, Secret: c.secret.Reveal()})
	}
	for _, a := range f.Accounts {
		d.Accounts = append(d.Accounts, admin.NewAccount{AccountSpec: a.AccountSpec, Password: a.password.Reveal()})
	}
	for _, w := range f.Webhooks {
		d.Webhooks = append(d.Webhooks, admin.NewWebhook{WebhookSpec: w.WebhookSpec, Secret: w.secret.Reveal()})
	}
	return d
}

// Parse reads a File from YAML. A key it does not know is an error with its
// line, and so is a secret that stands in the file itself.
func Parse(content []byte) (File, error) {
	var f File
	if err := yaml.UnmarshalWithOptions(content, &f, yaml.Strict()); err != nil && !errors.Is(err, io.EOF) {
		return File{}, Plain(err)
	}
	return f, nil
}

// Plain is a YAML error as "line: message", without the part of the file that
// the library shows around it: that may hold secrets.
func Plain(err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok {
		line := 0
		if token := e.GetToken(); token != nil && token.Position != nil {
			line = token.Position.Line
		}
		message, _, _ := strings.Cut(e.GetMessage(), "\n")
		return fmt.Errorf("%d: %s", line, message)
	}
	return err
}
