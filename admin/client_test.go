package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jetonhq/jeton/admin"
)

func TestClient_Request(t *testing.T) {
	var got *http.Request
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.WithoutCancel(r.Context()))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer web.Close()
	c := admin.Client{BaseURL: web.URL + "/behind/", Token: "hidden"}
	if err := c.DeleteResource(t.Context(), "https://api.example.com/v1?a=b", "wird ersetzt, größtenteils"); err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct{ what, got, want string }{
		{"method", got.Method, http.MethodDelete},
		{"path", got.URL.EscapedPath(), "/behind/admin/v1/resources/https:%2F%2Fapi.example.com%2Fv1%3Fa=b"},
		{"query", got.URL.RawQuery, ""},
		{"authorization", got.Header.Get("Authorization"), "Bearer hidden"},
		{"reason", got.Header.Get(admin.ReasonHeader), "wird ersetzt, größtenteils"},
	} {
		if check.got != check.want {
			t.Errorf("%s: got %q, want %q", check.what, check.got, check.want)
		}
	}
}

func TestClient_Refusals(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		code   admin.Code
		text   string
	}{
		{"of the API", 409, `{"code":"conflict","message":"the id is taken"}`, admin.CodeConflict, "the id is taken"},
		{"of something in between", 502, `<html>bad gateway</html>`, "", "admin API answered 502"},
		{"redirect", 302, ``, "", "admin API answered 302"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			calls := 0
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				w.Write([]byte(test.body))
			}))
			defer web.Close()
			_, err := (&admin.Client{BaseURL: web.URL, Token: "hidden"}).Client(t.Context(), "web")
			refusal, ok := errors.AsType[*admin.Error](err)
			if !ok || refusal.Status != test.status || admin.CodeOf(err) != test.code || err.Error() != test.text {
				t.Errorf("got %v with code %q, want %q with code %q", err, admin.CodeOf(err), test.text, test.code)
			}
			if calls != 1 {
				t.Errorf("%d calls: the token went somewhere else", calls)
			}
		})
	}
	for _, base := range []string{"", "127.0.0.1:8082", "ftp://127.0.0.1", "http://"} {
		if _, err := (&admin.Client{BaseURL: base}).Client(t.Context(), "web"); err == nil {
			t.Errorf("base URL %q: no error", base)
		}
	}
}

func TestDuration_JSON(t *testing.T) {
	b, err := json.Marshal(admin.ClientSpec{ID: "a", AccessLifetime: admin.Duration(90 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b), `{"id":"a","access_lifetime":"1m30s"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var spec admin.ClientSpec
	if err := json.Unmarshal([]byte(`{"access_lifetime":"5"}`), &spec); err == nil {
		t.Error("a number without a unit is a duration")
	}
}

func TestExplanation_Active(t *testing.T) {
	ok, bad := admin.Check{OK: true}, admin.Check{}
	for _, test := range []struct {
		checks []admin.Check
		want   bool
	}{{nil, false}, {[]admin.Check{ok}, true}, {[]admin.Check{ok, bad}, false}} {
		if got := (admin.Explanation{Checks: test.checks}).Active(); got != test.want {
			t.Errorf("%v: got %v, want %v", test.checks, got, test.want)
		}
	}
}
