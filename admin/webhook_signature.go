package admin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a webhook's request, as in the Standard Webhooks specification. The
// signature is one or more of "v1," and base64 of HMAC-SHA-256 over id, a
// period, the time, a period and the body, separated by spaces.
const (
	WebhookIDHeader        = "Webhook-Id"
	WebhookTimestampHeader = "Webhook-Timestamp" // Unix seconds, of this attempt
	WebhookSignatureHeader = "Webhook-Signature"
)

// WebhookSecretPrefix begins the text form of a webhook's secret. Base64 of the
// key follows.
const WebhookSecretPrefix = "whsec_"

// Errors of [VerifyWebhook].
var (
	ErrWebhookHeaders   = errors.New("admin: webhook headers are missing or malformed")
	ErrWebhookTime      = errors.New("admin: webhook was sent too long ago, or in the future")
	ErrWebhookSignature = errors.New("admin: no signature of the webhook is by a known secret")
	ErrWebhookSecret    = errors.New("admin: a webhook secret is whsec_ and base64 of 24 to 64 bytes")
)

// signatureVersion names HMAC-SHA-256.
const signatureVersion = "v1"

// maxSignatures bounds the work for one request.
const maxSignatures = 16

// VerifyWebhook reports whether body was sent by who knows one of the secrets,
// within tolerance of now. While a secret is being rotated, a receiver may know
// both. Verify before anything is done with the body, and then drop what has
// come before: a message may come more than once, with the same Webhook-Id.
//
//	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
//	...
//	err = admin.VerifyWebhook(secrets, r.Header, body, time.Now(), 5*time.Minute)
func VerifyWebhook(secrets []string, header http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	keys, err := webhookKeys(secrets)
	if err != nil {
		return err
	}
	id, timestamp := header.Get(WebhookIDHeader), header.Get(WebhookTimestampHeader)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" || header.Get(WebhookSignatureHeader) == "" {
		return ErrWebhookHeaders
	}
	given := strings.Fields(header.Get(WebhookSignatureHeader))
	if len(given) > maxSignatures {
		return ErrWebhookHeaders
	}
	good := false
	for _, key := range keys {
		want := []byte(webhookSignature(key, id, timestamp, body))
		for _, signature := range given {
			if hmac.Equal([]byte(signature), want) {
				good = true
			}
		}
	}
	if !good {
		return ErrWebhookSignature
	}
	// After the signature, so that only a sender learns what the time here is.
	if sent := time.Unix(seconds, 0); now.Sub(sent) > tolerance || sent.Sub(now) > tolerance {
		return ErrWebhookTime
	}
	return nil
}

// SignWebhook sets the headers of a request whose body each of the secrets
// signs. Receivers' tests can use it.
func SignWebhook(secrets []string, header http.Header, id string, at time.Time, body []byte) error {
	keys, err := webhookKeys(secrets)
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signatures[i] = webhookSignature(key, id, timestamp, body)
	}
	header.Set(WebhookIDHeader, id)
	header.Set(WebhookTimestampHeader, timestamp)
	header.Set(WebhookSignatureHeader, strings.Join(signatures, " "))
	return nil
}

func webhookSignature(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return signatureVersion + "," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// webhookKeys decodes secrets, of which there must be one at least.
func webhookKeys(secrets []string) ([][]byte, error) {
	if len(secrets) == 0 {
		return nil, ErrWebhookSecret
	}
	keys := make([][]byte, len(secrets))
	for i, text := range secrets {
		encoded, ok := strings.CutPrefix(text, WebhookSecretPrefix)
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) < 24 || len(key) > 64 {
			return nil, ErrWebhookSecret
		}
		keys[i] = key
	}
	return keys, nil
}

// CheckWebhookSecret reports whether a secret has the form that signing needs.
func CheckWebhookSecret(secret string) error {
	_, err := webhookKeys([]string{secret})
	return err
}
