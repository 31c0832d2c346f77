package leaktest_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/leaktest"
)

const (
	token = "jr_0123456789-abcdefghijklmnopqrstuvwxyz"
	odd   = "a+b/c d=e&f%g+h/i j=k&l%m"
)

func TestWatch_FindsASecretInEveryForm(t *testing.T) {
	tests := []struct{ name, said string }{
		{"whole", `level=ERROR msg="no" token=` + token},
		{"end of it", "…" + token[len(token)-20:]},
		{"in a query", "GET /x?token=" + url.QueryEscape(odd)},
		{"in a path", "GET /x/" + url.PathEscape(odd)},
		{"as it is", odd},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w leaktest.Watch
			w.Said("log", "nothing here\n"+tt.said)
			w.Secret("token", token)
			w.Secret("odd", odd)
			got := w.Leaks()
			if len(got) != 1 || !strings.HasPrefix(got[0], "log, line 2: a ") {
				t.Fatalf("leaks %q", got)
			}
			if strings.Contains(got[0], token[10:]) || strings.Contains(got[0], odd[10:]) {
				t.Error("the report repeats the secret")
			}
		})
	}
}

func TestWatch_AcceptsWhatIsNoSecret(t *testing.T) {
	var w leaktest.Watch
	w.Secret("token", token)
	w.Secret("password", "wrong") // too short to tell from words
	w.Said("log", "wrong password; "+token[:len(token)-8])
	if got := w.Leaks(); len(got) != 0 {
		t.Errorf("leaks %q", got)
	}
}

func TestTransport_CollectsSecretsAndRefusals(t *testing.T) {
	secrets := map[string]string{}
	for _, name := range []string{"basic", "form", "query", "cookie", "answer", "set-cookie", "redirect"} {
		secrets[name] = name + "-0123456789012345678901234567890123456789"[:30+len(name)] + name
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.SetCookie(rw, &http.Cookie{Name: "c", Value: secrets["set-cookie"]})
		if r.URL.Path == "/redirect" {
			http.Redirect(rw, r, "https://app.example.com/cb?code="+secrets["redirect"], http.StatusSeeOther)
			return
		}
		if r.URL.Path == "/refuse" {
			http.Error(rw, "no: "+r.FormValue("refresh_token"), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(rw, `{"access_token":"`+secrets["answer"]+`"}`)
	}))
	defer server.Close()
	var w leaktest.Watch
	client := http.Client{
		Transport:     w.Transport("test", nil),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, path := range []string{"/", "/redirect", "/refuse"} {
		form := strings.NewReader(url.Values{"refresh_token": {secrets["form"]}}.Encode())
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path+"?token="+secrets["query"], form)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("id", secrets["basic"])
		r.AddCookie(&http.Cookie{Name: "c", Value: secrets["cookie"]})
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(response.Body); err != nil || path != "/redirect" && len(body) == 0 {
			t.Errorf("%s: the body is lost: %q, %v", path, body, err)
		}
		response.Body.Close()
	}
	if got := w.Leaks(); len(got) != 1 || !strings.HasPrefix(got[0], "test: 400 to POST /refuse, line 2: a refresh_token") {
		t.Errorf("leaks %q, want the refusal's", got)
	}
	for name, value := range secrets {
		w.Said("log of "+name, value)
	}
	if got, want := len(w.Leaks()), 1+len(secrets); got != want {
		t.Errorf("%d leaks, want %d: %q", got, want, w.Leaks())
	}
}

func TestMain_FailsTheRun(t *testing.T) {
	var w leaktest.Watch
	var out bytes.Buffer
	if code := w.Main(func() int { return 0 }, &out); code != 0 {
		t.Errorf("exit code %d without a leak", code)
	}
	w.Secret("token", token)
	w.Said("log", token)
	if code := w.Main(func() int { return 0 }, &out); code != 1 || !strings.Contains(out.String(), "leak: log, line 1: a token") {
		t.Errorf("exit code %d, output %s", code, out.String())
	}
}
