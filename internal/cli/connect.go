package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/config"
)

// connection says where the admin API is.
type connection struct {
	manage    string
	tokenFile string
	data      string
}

// administers gives cmd, and all below it, the flags that find a server.
func (a *app) administers(cmd *cobra.Command) *cobra.Command {
	flags := cmd.PersistentFlags()
	flags.StringVar(&a.connection.manage, "manage", "", "`URL` of the management listener (environment: JETON_MANAGE_URL; otherwise what jeton dev wrote)")
	flags.StringVar(&a.connection.tokenFile, "admin-token-file", "", "`FILE` with the admin token (environment: JETON_ADMIN_TOKEN_FILE or JETON_ADMIN_TOKEN)")
	flags.StringVar(&a.connection.data, "data", "", "data `DIR` of the jeton dev to talk to (environment: JETON_DATA)")
	flags.BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// changes gives cmd the flag for the audit trail.
func (a *app) changes(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&a.reason, "reason", "", "`WHY` this is done, for the audit trail")
	return cmd
}

// callTimeout bounds one call of the admin API.
const callTimeout = 30 * time.Second

// admin finds the server: by flags, then by environment, then by what `jeton
// dev` wrote. URL and token are taken from one of the last two together or from
// flags and environment together, so that a token never goes to a server it was
// not meant for.
func (a *app) admin() (*admin.Client, error) {
	url := a.manageURL()
	token, err := a.adminToken()
	if err != nil {
		return nil, err
	}
	switch {
	case url != "" && token == "":
		return nil, usagef("the admin token is missing: use --admin-token-file, JETON_ADMIN_TOKEN_FILE or JETON_ADMIN_TOKEN")
	case url == "" && token != "":
		return nil, usagef("there is an admin token, but no server to use it with: use --manage or JETON_MANAGE_URL")
	case url == "":
		dev, err := a.devFile()
		if err != nil {
			return nil, err
		}
		url, token = dev.Manage, dev.AdminToken
	}
	return &admin.Client{BaseURL: url, Token: token, HTTP: callClient()}, nil
}

func callClient() *http.Client {
	return &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (a *app) manageURL() string {
	if a.connection.manage != "" || a.connection.data != "" {
		return a.connection.manage
	}
	return a.getenv("JETON_MANAGE_URL")
}

func (a *app) adminToken() (string, error) {
	file := a.connection.tokenFile
	if file == "" && a.connection.data != "" {
		return "", nil
	}
	if file == "" {
		if token := a.getenv("JETON_ADMIN_TOKEN"); token != "" {
			return token, nil
		}
		file = a.getenv("JETON_ADMIN_TOKEN_FILE")
	}
	if file == "" {
		return "", nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the admin token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("the admin token's file %s is empty", file)
	}
	return token, nil
}

// devFile reads what `jeton dev` wrote.
func (a *app) devFile() (config.DevFile, error) {
	data, err := a.dataDir(a.connection.data)
	if err != nil {
		return config.DevFile{}, err
	}
	dev, err := config.ReadDevFile(data)
	if errors.Is(err, fs.ErrNotExist) {
		return config.DevFile{}, fmt.Errorf("no server is known: start `jeton dev`, or name one with --manage and --admin-token-file (%s does not exist)", config.DevPath(data))
	}
	return dev, err
}

// dataDir is where `jeton dev` keeps its state: as the flag says, or the
// environment, or in the user's state directory.
func (a *app) dataDir(flag string) (string, error) {
	if data := cmp.Or(flag, a.getenv("JETON_DATA")); data != "" {
		return data, nil
	}
	return config.DevDir(a.Environ)
}

func (a *app) getenv(name string) string {
	for i := len(a.Environ) - 1; i >= 0; i-- { // the last one counts, as in os/exec
		if value, ok := strings.CutPrefix(a.Environ[i], name+"="); ok {
			return value
		}
	}
	return ""
}

func (a *app) lookup(name string) (string, bool) {
	value := a.getenv(name)
	return value, value != ""
}
