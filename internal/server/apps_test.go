package server_test

import (
	"net/http"
	"strings"
	"testing"

	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/oauth"
)

// A person sees on their own page which apps act for them, and takes one back.
func TestApps_ListedAndWithdrawnByThePerson(t *testing.T) {
	w := newWorld(t, options{})
	v := w.visitor()
	code := v.walk(w.authorize("web")).Get("code")
	first := w.redeem("web", code).ok()
	bystander := w.signedIn("other", in(w.session(w.person)))

	home := v.open(http.MethodGet, "/", "")
	for _, want := range []string{"Your apps", "Web", "other", "Know that it is you", "Withdraw from Web"} {
		if !strings.Contains(home.body, want) {
			t.Errorf("the page does not have %q:\n%s", want, home.body)
		}
	}
	// Neither another site nor a page of another person's can take it back.
	r := w.request(http.MethodPost, "/withdraw", values("account", w.person.Subject(), "app", "web").Encode())
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Cookie", "jeton="+v.cookie())
	if a := w.do(r); a.status != http.StatusForbidden {
		t.Errorf("from another site: %d", a.status)
	}
	v.open(http.MethodPost, "/withdraw", values("account", "somebody-else", "app", "web").Encode())
	w.visitor().open(http.MethodPost, "/withdraw", values("account", w.person.Subject(), "app", "web").Encode())
	w.wantAlive("before", first.text("access_token"))

	page := v.open(http.MethodPost, "/withdraw", values("account", w.person.Subject(), "app", "web").Encode())
	if strings.Contains(page.body, "Withdraw from Web") || !strings.Contains(page.body, "Withdraw from other") {
		t.Errorf("afterwards the page is\n%s", page.body)
	}
	w.wantDead("the app's token", first.text("access_token"))
	if a := w.refresh("web", first.text("refresh_token")); a.text("reason") != oauth.ReasonConsentWithdrawn {
		t.Errorf("the app is told %s", a.body)
	}
	w.wantAlive("another app's", bystander.text("access_token"))
	if found := w.events(authority.EventConsentWithdrawn); len(found) != 1 || found[0].Actor.Kind != "account" || found[0].ClientID != "web" {
		t.Errorf("events: %+v", found)
	}
	// The next sign-in asks what is allowed.
	if p := v.open(http.MethodGet, w.authorize("web"), ""); !strings.Contains(p.body, `value="allow"`) {
		t.Errorf("nobody is asked: %s", p.body)
	}
	v.open(http.MethodPost, "/withdraw", values("account", w.person.Subject(), "app", "web").Encode()) // once more changes nothing
	w.wantEvents(authority.EventConsentWithdrawn, 1)
}

func TestApps_WithdrawnByAnOperator(t *testing.T) {
	w := newWorld(t, options{})
	v := w.visitor()
	token := w.redeem("web", v.walk(w.authorize("web")).Get("code")).ok().text("access_token")
	op := w.operator()
	list, err := op.Consents(t.Context(), "ada")
	must(t, err)
	if len(list.Items) != 1 || list.Items[0].ClientID != "web" || strings.Join(list.Items[0].Scope, " ") != "openid read" {
		t.Errorf("consents: %+v", list.Items)
	}
	must(t, op.WithdrawConsent(t.Context(), "ada", "web", "asked by phone"))
	w.wantDead("the app's token", token)
	if list, err = op.Consents(t.Context(), "ada"); err != nil || len(list.Items) != 0 {
		t.Errorf("afterwards: %+v, %v", list.Items, err)
	}
	for _, who := range []string{"ada", "nobody"} {
		if err := op.WithdrawConsent(t.Context(), who, "web", ""); adminclient.CodeOf(err) != adminclient.CodeNotFound {
			t.Errorf("%s: nothing to withdraw: %v", who, err)
		}
	}
	found := w.events(authority.EventConsentWithdrawn)
	if len(found) != 1 || found[0].Reason != "asked by phone" || found[0].Actor.Kind != "admin" {
		t.Errorf("events: %+v", found)
	}
}
