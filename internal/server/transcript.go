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
	_, _ = fmt.Fprintf(w, transcript, d.Issuer, d.API, d.Manage, devFile, d.Clients.Machine.ID, d.Clients.Machine.Secret, jeton,
		d.User.Login, quote(d.User.Password))
}

// transcript is in groups, with a line of explanation for each command.
const transcript = `Jeton is running. Stop it with Ctrl-C.

  authority     %[1]s
  example API   %[2]s
  management    %[3]s
  everything    %[4]s

In another terminal, paste these one by one.

# Tokens that can be taken back

  # A program gets a token
  token() { curl -s -u '%[5]s:%[6]s' -d grant_type=client_credentials "$@" %[1]s/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/'; }
  TOKEN=$(token)

  # It calls the API, which checks the token by itself
  curl -i -H "Authorization: Bearer $TOKEN" %[2]s/reports

  # What is this token?
  %[7]s token explain "$TOKEN"

  # Revoke it. The API refuses it at once, and says why
  %[7]s token revoke "$TOKEN"
  curl -i -H "Authorization: Bearer $TOKEN" %[2]s/reports

# Rules for a running API

  # From now on /reports takes no token older than a second (too_old), whatever its exp says
  TOKEN=$(token); %[7]s policy set fresh --audience %[2]s --path /reports --max-age 1s; sleep 2
  curl -i -H "Authorization: Bearer $TOKEN" %[2]s/reports

  # And as before
  %[7]s policy delete fresh; sleep 1
  curl -i -H "Authorization: Bearer $TOKEN" %[2]s/reports

# Tokens for one thing

  # A link to one report opens that one, and no other (wrong_url)
  LINK=$(token -d url=%[2]s/reports/7)
  curl -i -H "Authorization: Bearer $LINK" %[2]s/reports/7
  curl -i -H "Authorization: Bearer $LINK" %[2]s/reports/8

  # A token for one payment pays once (no_uses_left)
  ONCE=$(token -d uses=1)
  curl -i -X POST -H "Authorization: Bearer $ONCE" %[2]s/payments
  curl -i -X POST -H "Authorization: Bearer $ONCE" %[2]s/payments

# People

  # Sign in without a browser. The app keeps the tokens and gives out a cookie, which the same handlers take
  JAR=$(mktemp); PAGE=$(curl -sL -c "$JAR" -b "$JAR" -o /dev/null -w '%%{url_effective}' '%[2]s/auth/sign-in?return_to=/hello')
  curl -sL -c "$JAR" -b "$JAR" -d login=%[8]s --data-urlencode password=%[9]s "$PAGE"
  curl -i -b "$JAR" %[2]s/reports

  # A transfer wants somebody who signed in lately: no program, and nobody from this morning
  curl -i -X POST -H "Authorization: Bearer $TOKEN" %[2]s/transfers
  curl -i -X POST -b "$JAR" %[2]s/transfers

  # Sign her out everywhere. The cookie is worth nothing any more (session_ended)
  %[7]s account end-sessions %[8]s; sleep 1
  curl -i -b "$JAR" %[2]s/reports

  # With a browser: sign in as %[8]s, password %[9]s, at
  %[2]s/login

`

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
