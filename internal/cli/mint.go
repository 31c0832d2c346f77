package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/oauth"
)

// maxMintAnswer bounds the answer to a batch: a thousand tokens of a few kilobytes.
const maxMintAnswer = 16 << 20

// minting is a call of the mint endpoint.
type minting struct {
	issuer, client, secretFile      string
	file, request, key, requestedBy string
	atomic                          bool
}

func (a *app) mintCommand() *cobra.Command {
	var m minting
	cmd := a.command("mint --file FILE", "Mint a batch of tokens; below it, decide about batches that wait for approval", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if (m.file == "") == (m.request == "") {
			return usagef("--file names the requests, or --request a batch that was approved")
		}
		return a.mint(ctx, m)
	})
	flags := cmd.Flags()
	flags.StringVar(&m.file, "file", "", "JSON `FILE` with an array of requests, - for standard input")
	flags.StringVar(&m.request, "request", "", "`ID` of a batch that was approved")
	flags.StringVar(&m.issuer, "issuer", "", "`URL` of the authority (environment: JETON_ISSUER)")
	flags.StringVar(&m.client, "client", "", "`ID` of the client that mints (environment: JETON_CLIENT_ID)")
	flags.StringVar(&m.secretFile, "secret-file", "", "`FILE` with the client's secret, - for standard input (environment: JETON_CLIENT_SECRET)")
	flags.StringVar(&m.key, "idempotency-key", "", "`KEY` that makes it safe to send the batch again")
	flags.StringVar(&m.requestedBy, "requested-by", "", "`NAME` of the person who asks, for the audit trail")
	flags.BoolVar(&m.atomic, "atomic", false, "all or nothing")
	cmd.AddCommand(a.administers(a.mintList()), a.administers(a.mintDecide("approve")), a.administers(a.mintDecide("deny")))
	return cmd
}

// mint sends a batch and prints the answer, which has live tokens.
func (a *app) mint(ctx context.Context, m minting) error {
	r, err := a.mintCall(ctx, m)
	if err != nil {
		return err
	}
	// A redirect would carry the secret elsewhere.
	client := &http.Client{Timeout: callTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxMintAnswer))
	if err != nil {
		return err
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusUnprocessableEntity:
	default:
		var refusal oauth.ErrorResponse
		_ = json.Unmarshal(body, &refusal)
		return fmt.Errorf("the authority answered %d %s %s", response.StatusCode, refusal.Error, refusal.Description)
	}
	var answer oauth.MintResponse
	if err := json.Unmarshal(body, &answer); err != nil {
		return errors.New("the authority's answer is not that of its mint endpoint")
	}
	if err := a.printJSON(answer); err != nil {
		return err
	}
	failed := response.StatusCode == http.StatusUnprocessableEntity
	for _, result := range answer.Results {
		failed = failed || result.Error != ""
	}
	if failed {
		return errFailed
	}
	return nil
}

func (a *app) mintCall(ctx context.Context, m minting) (*http.Request, error) {
	environment := func(name string) string { value, _ := a.lookup(name); return value }
	issuer, id := cmp.Or(m.issuer, environment("JETON_ISSUER")), cmp.Or(m.client, environment("JETON_CLIENT_ID"))
	if issuer == "" || id == "" {
		return nil, usagef("--issuer and --client say where to mint, and as whom")
	}
	key := environment("JETON_CLIENT_SECRET")
	if m.secretFile != "" {
		var err error
		if key, err = a.hidden(m.secretFile, "secret", false); err != nil {
			return nil, err
		}
	}
	if key == "" {
		return nil, usagef("the client's secret is missing: use --secret-file or JETON_CLIENT_SECRET")
	}
	var body []byte
	var err error
	switch m.file {
	case "":
	case "-":
		body, err = io.ReadAll(a.In)
	default:
		body, err = os.ReadFile(m.file)
	}
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	if m.request != "" {
		query.Set("request", m.request)
	}
	if m.atomic {
		query.Set("atomic", "true")
	}
	address := strings.TrimSuffix(issuer, "/") + "/mint"
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if m.key != "" {
		r.Header.Set("Idempotency-Key", m.key)
	}
	if m.requestedBy != "" {
		r.Header.Set("Jeton-Requested-By", m.requestedBy)
	}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(key))
	return r, nil
}

func (a *app) mintList() *cobra.Command {
	return a.command("list", "List batches that wait for a decision", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		api, err := a.admin()
		if err != nil {
			return err
		}
		waiting, err := collect(admin.All(ctx, api.MintRequests))
		if err != nil {
			return err
		}
		return table(a, waiting, []string{"ID", "CLIENT", "REQUESTED BY", "REASON", "UNTIL", "REQUESTS"}, func(m admin.MintRequest) []string {
			return []string{m.ID, m.ClientID, m.RequestedBy, m.Reason, when(m.ExpiresAt), string(m.Requests)}
		})
	})
}

// mintDecide is the command "approve" or "deny".
func (a *app) mintDecide(verb string) *cobra.Command {
	var by string
	short := map[string]string{"approve": "Let a batch be minted, as a second person", "deny": "Refuse a batch"}[verb]
	cmd := a.command(verb+" ID", short, cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		user, _ := a.lookup("USER")
		if by = cmp.Or(by, user); by == "" {
			return usagef("--by names the person who decides")
		}
		api, err := a.admin()
		if err != nil {
			return err
		}
		call, done := api.ApproveMint, "approved"
		if verb == "deny" {
			call, done = api.DenyMint, "denied"
		}
		if err := call(ctx, args[0], by, a.reason); err != nil {
			return err
		}
		a.done("Batch %s is %s.", args[0], done)
		return nil
	})
	cmd.Flags().StringVar(&by, "by", "", "`NAME` of the person who decides (default: the user)")
	return a.changes(cmd)
}
