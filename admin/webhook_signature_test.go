package admin_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/admin"
)

const (
	oldSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// The example that libraries of the Standard Webhooks specification share.
func TestVerifyWebhook_Vector(t *testing.T) {
	header := http.Header{
		"Webhook-Id": {"msg_p5jXN8AQM9LWM0D4loKWxJek"}, "Webhook-Timestamp": {"1614265330"},
		"Webhook-Signature": {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
	}
	body := []byte(`{"test": 2432232314}`)
	if err := admin.VerifyWebhook([]string{oldSecret}, header, body, time.Unix(1614265330, 0), time.Minute); err != nil {
		t.Error(err)
	}
}

func TestVerifyWebhook(t *testing.T) {
	sent := time.Unix(1700000000, 0)
	body := []byte(`{"type":"test"}`)
	sign := func(secrets ...string) http.Header {
		header := http.Header{}
		if err := admin.SignWebhook(secrets, header, "id-1", sent, body); err != nil {
			t.Fatal(err)
		}
		return header
	}
	edit := func(header http.Header, name, value string) http.Header {
		header.Set(name, value)
		return header
	}
	without := func(name string) http.Header {
		header := sign(oldSecret)
		header.Del(name)
		return header
	}
	ours := []string{oldSecret}
	for what, test := range map[string]struct {
		secrets []string
		header  http.Header
		body    string
		now     time.Time
		want    error
	}{
		"good":                       {ours, sign(oldSecret), "", sent, nil},
		"rotation, receiver is late": {ours, sign(newSecret, oldSecret), "", sent, nil},
		"rotation, receiver has both": {
			[]string{newSecret, oldSecret}, sign(oldSecret), "", sent, nil,
		},
		"unknown versions are skipped": {ours, edit(sign(oldSecret), "Webhook-Signature", "v9,x "+sign(oldSecret).Get("Webhook-Signature")), "", sent, nil},
		"at the edge":                  {ours, sign(oldSecret), "", sent.Add(5 * time.Minute), nil},
		"too old":                      {ours, sign(oldSecret), "", sent.Add(5*time.Minute + time.Second), admin.ErrWebhookTime},
		"from the future":              {ours, sign(oldSecret), "", sent.Add(-5*time.Minute - time.Second), admin.ErrWebhookTime},
		"another secret":               {ours, sign(newSecret), "", sent, admin.ErrWebhookSignature},
		"another body":                 {ours, sign(oldSecret), "{}", sent, admin.ErrWebhookSignature},
		"another id":                   {ours, edit(sign(oldSecret), "Webhook-Id", "id-2"), "", sent, admin.ErrWebhookSignature},
		"another time":                 {ours, edit(sign(oldSecret), "Webhook-Timestamp", "1700000001"), "", sent, admin.ErrWebhookSignature},
		"another form of the time":     {ours, edit(sign(oldSecret), "Webhook-Timestamp", "+1700000000"), "", sent, admin.ErrWebhookSignature},
		"no time":                      {ours, edit(sign(oldSecret), "Webhook-Timestamp", "now"), "", sent, admin.ErrWebhookHeaders},
		"no id":                        {ours, without("Webhook-Id"), "", sent, admin.ErrWebhookHeaders},
		"no signature":                 {ours, without("Webhook-Signature"), "", sent, admin.ErrWebhookHeaders},
		"empty signature":              {ours, edit(sign(oldSecret), "Webhook-Signature", "v1,"), "", sent, admin.ErrWebhookSignature},
		"too many signatures":          {ours, edit(sign(oldSecret), "Webhook-Signature", strings.Repeat("v1,x ", 17)), "", sent, admin.ErrWebhookHeaders},
		"no secret":                    {nil, sign(oldSecret), "", sent, admin.ErrWebhookSecret},
		"a short secret":               {[]string{"whsec_AAAA"}, sign(oldSecret), "", sent, admin.ErrWebhookSecret},
		"a secret without its prefix":  {[]string{oldSecret[6:]}, sign(oldSecret), "", sent, admin.ErrWebhookSecret},
	} {
		given := body
		if test.body != "" {
			given = []byte(test.body)
		}
		if err := admin.VerifyWebhook(test.secrets, test.header, given, test.now, 5*time.Minute); !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: got %v, want %v", what, err, test.want)
		}
	}
}
