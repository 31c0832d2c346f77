package server

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/jetonhq/jeton/internal/config"
)

// printTranscript shows a newcomer what to do next. Every command works by
// pasting; the secrets in it are this machine's own, made at the first start.
func printTranscript(w io.Writer, d config.DevFile, devFile string) {
	jeton := commandName()
	if data := filepath.Dir(devFile); !isDefaultData(data) {
		jeton = "JETON_DATA=" + quote(data) + " " + jeton
	}
	_, _ = fmt.Fprintf(w, `Jeton is running. Stop it with Ctrl-C.

  authority     %[1]s
  example API   %[2]s
  management    %[3]s
  everything    %[4]s

In another terminal, paste these one by one.

  # 1. A program gets a token
  TOKEN=$(curl -s -u '%[5]s:%[6]s' -d grant_type=client_credentials %[1]s/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

  # 2. It calls the API, which checks the token by itself
  curl -i -H "Authorization: Bearer $TOKEN" %[2]s/reports

  # 3. What is this token?
  %[7]s token explain "$TOKEN"

  # 4. Revoke it. The API refuses it at once, and says why
  %[7]s token revoke "$TOKEN"
  curl -i -H "Authorization: Bearer $TOKEN" %[2]s/reports

  # 5. A person signs in: open this in a browser
  #    login    %[8]s
  #    password %[9]s
  %[2]s/login

`, d.Issuer, d.API, d.Manage, devFile, d.Clients.Machine.ID, d.Clients.Machine.Secret, jeton, d.User.Login, d.User.Password)
}

// commandName is how the reader started this program.
func commandName() string {
	if strings.Contains(os.Args[0], string(filepath.Separator)+"go-build") {
		return "go run ./cmd/jeton"
	}
	return os.Args[0]
}

func isDefaultData(data string) bool {
	dir, err := config.DevDir(os.Environ())
	return err == nil && dir == data
}

// quote makes s one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
