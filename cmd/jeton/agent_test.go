package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/oauth"
)

// The agent beside a real authority, configured by flags and by environment:
// it answers, follows revocations, and stops in order.
func TestAgent(t *testing.T) {
	d := devFrom(t, t.TempDir())
	const callers = "0123456789abcdef0123456789abcdef"
	watched.Secret("caller secret", callers)
	dir := t.TempDir()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + port
	a := launch(t, build(t), []string{
		"JETON_AGENT_ISSUER=" + d.Issuer, "JETON_AGENT_AUDIENCE=https://not.example.com", "JETON_AGENT_CLIENT_ID=" + d.Resource.ID,
		"JETON_AGENT_CLIENT_SECRET_FILE=" + put(t, dir, "resource", d.Resource.Secret+"\n"), "JETON_AGENT_CALLER_SECRET=" + callers,
		"JETON_AGENT_FAIL_MODE=closed", "JETON_AGENT_MAX_STALENESS=5s", "JETON_AGENT_LOG_FORMAT=text",
	}, "agent", "--audience", d.Resource.Audience, "--listen", address)
	a.eventually("ready", func() bool { return answers(t, http.DefaultClient, "http://"+address+"/readyz") == http.StatusOK })

	token := machineToken(t, d)
	post := func(target, user, password string, form url.Values) (int, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(user, password)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body
	}
	introspect := func() (status int, answer oauth.Introspection) {
		t.Helper()
		status, body := post("http://"+address+"/introspect", "any", callers, url.Values{"token": {token}})
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatal(err)
		}
		return status, answer
	}
	if status, got := introspect(); status != http.StatusOK || !got.Active || got.ClientID != d.Clients.Machine.ID {
		t.Errorf("status %d, %+v", status, got)
	}
	if status, _ := post("http://"+address+"/introspect", "any", "wrong", url.Values{"token": {token}}); status != http.StatusUnauthorized {
		t.Errorf("status %d for a stranger", status)
	}
	check := func(uri string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/check?scope=reports:read", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + token, "X-Jeton-Secret": callers, "X-Forwarded-Method": "GET", "X-Forwarded-Uri": uri} {
			r.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Jeton-Reason")
	}
	if status, reason := check("/reports/7"); status != http.StatusOK {
		t.Errorf("check: status %d, %s", status, reason)
	}
	// A central policy goes by the request the proxy asks about.
	lock := launch(t, build(t), nil, "policy", "set", "lock", "--audience", d.Resource.Audience, "--path", "/reports/", "--max-age", "0", "--data", d.data)
	if code := lock.end(); code != 0 {
		t.Fatalf("policy set: exit code %d: %s", code, lock.log)
	}
	a.eventually("locked", func() bool {
		status, reason := check("/reports/7?x=1")
		return status == http.StatusServiceUnavailable && reason == "locked"
	})
	if status, reason := check("/else"); status != http.StatusOK {
		t.Errorf("check elsewhere: status %d, %s", status, reason)
	}
	if status, body := post(d.Issuer+"/revoke", d.Clients.Machine.ID, d.Clients.Machine.Secret, url.Values{"token": {token}}); status != http.StatusOK {
		t.Fatalf("revoke: status %d: %s", status, body)
	}
	a.eventually("inactive", func() bool { _, got := introspect(); return !got.Active })
	a.wantStopped()
}

func machineToken(t *testing.T, d *running) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.Issuer+"/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(d.Clients.Machine.ID, d.Clients.Machine.Secret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer oauth.TokenResponse
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("status %d instead of a token: %v", resp.StatusCode, err)
	}
	watched.Secret("access token", answer.AccessToken)
	return answer.AccessToken
}

// An agent that is configured wrongly says everything that is wrong, and not
// the secrets.
func TestAgent_RefusesToStart(t *testing.T) {
	binary := build(t)
	whole := []string{"JETON_AGENT_ISSUER=https://id.example.com", "JETON_AGENT_AUDIENCE=a", "JETON_AGENT_CLIENT_ID=c", "JETON_AGENT_CLIENT_SECRET=hunter2-hunter2"}
	for _, test := range []struct {
		name    string
		environ []string
		args    []string
		want    []string
	}{
		{"nothing", nil, nil, []string{"issuer: is required", "audience: is required", "client-id: is required", "client-secret-file: is required"}},
		{"a network address", whole, []string{"--listen", ":8090"}, []string{"listen: is not a loopback address", "--insecure-listen-anywhere"}},
		{"a network address for everybody", whole, []string{"--listen", ":8090", "--insecure-listen-anywhere"}, []string{"--caller-secret-file"}},
		{"fail mode", append([]string{"JETON_AGENT_FAIL_MODE=ajar"}, whole...), nil, []string{"fail-mode: is none of"}},
		{"environment", append([]string{"JETON_AGENT_MAX_STALENESS=2", "JETON_AGENT_INSECURE_LISTEN_ANYWHERE=perhaps", "JETON_AGENT_LOG_FORMAT=xml"}, whole...), nil,
			[]string{"JETON_AGENT_MAX_STALENESS", "JETON_AGENT_INSECURE_LISTEN_ANYWHERE", "log-format"}},
		{"two secrets", append([]string{"JETON_AGENT_CLIENT_SECRET_FILE=x"}, whole...), nil, []string{"JETON_AGENT_CLIENT_SECRET_FILE is set too"}},
		{"no such file", whole, []string{"--client-secret-file", "nowhere"}, []string{"nowhere"}},
		{"empty file", whole, []string{"--client-secret-file", put(t, t.TempDir(), "empty", "\n")}, []string{"is empty"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := launch(t, binary, test.environ, append([]string{"agent"}, test.args...)...)
			for _, want := range test.want {
				p.wantRefused(want)
			}
			if strings.Contains(p.log.String(), "hunter2") {
				t.Errorf("the secret is in\n%s", p.log)
			}
		})
	}
}
