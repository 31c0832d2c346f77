package jeton

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// However a configuration, a credential or a token is printed, its secret is not in it.
func TestPrinting(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		text := a.mint()
		token, err := g.Check(context.Background(), text)
		if err != nil {
			t.Fatal(err)
		}
		credential := ClientSecret(apiClient, apiSecret)
		config := a.config()
		holder := struct {
			T *Token
			V Token
			C Credential
			t *Token
			v Token
			c Credential
		}{token, *token, credential, token, *token, credential}
		var b bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&b, verb, token)
			fmt.Fprintf(&b, verb, *token)
			fmt.Fprintf(&b, verb, holder)
			fmt.Fprintf(&b, verb, &holder)
			fmt.Fprintf(&b, verb, credential)
			fmt.Fprintf(&b, verb, config.Client)
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			slog.New(h).Info("m", "token", token, "credential", credential, "config", config.Client, "holder", holder.C)
		}
		for _, v := range []any{token, credential, holder} {
			if raw, err := json.Marshal(v); err == nil {
				b.Write(raw)
			}
		}
		printed := b.String()
		for name, secret := range map[string]string{"token": text, "signature": text[len(text)-80:], "secret": apiSecret,
			"hex of the secret": fmt.Sprintf("%x", apiSecret)} {
			if strings.Contains(printed, secret) {
				t.Errorf("the %s is in\n%s", name, printed)
			}
		}
	})
}

// Nothing that a guard logs or answers contains a token or a secret, whatever goes wrong.
func TestLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log, said bytes.Buffer // said is ours: the log's is written to by the guard's goroutines
		a := newFakeAuthority(t)
		a.setDown(true)
		g := a.guard(func(c *Config) {
			c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		var texts []string
		try := func(token string) {
			texts = append(texts, token)
			if _, err := g.Check(context.Background(), token); err != nil {
				fmt.Fprintf(&said, "%v %+v\n", err, err)
			}
		}
		try(a.mint())
		a.setDown(false)
		time.Sleep(10 * time.Second)
		try(a.mint())
		try(a.mint() + "A")
		a.setHold(true)
		try(a.mint())
		a.setHold(false)
		a.setDown(true)
		time.Sleep(10 * time.Second)
		try(a.mint())
		a.setDown(false)
		time.Sleep(20 * time.Second)
		try(a.mint())
		_ = g.Close()
		for _, want := range []string{"key set cannot be fetched", "key set fetched", "authority cannot be asked", "authority answers about tokens again"} {
			if got := strings.Count(log.String(), want); got < 1 || got > 2 {
				t.Errorf("%q was logged %d times", want, got)
			}
		}
		for _, secret := range append(texts, apiSecret) {
			if strings.Contains(log.String()+said.String(), secret) {
				t.Errorf("%q was logged", secret)
			}
		}
		if t.Failed() {
			t.Log(log.String() + said.String())
		}
	})
}
