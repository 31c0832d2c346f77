package server_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/jetonhq/jeton/internal/browsertest"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/server"
)

// runDev runs `jeton dev` in this process until the test ends.
func runDev(t *testing.T) config.DevFile {
	t.Helper()
	data := t.TempDir()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- server.Dev(ctx, server.DevOptions{
			Listen: "127.0.0.1:0", APIListen: "127.0.0.1:0", ManageListen: "127.0.0.1:0", Data: data, Stdout: write,
			Logger: slog.New(slog.NewTextHandler(watched.Log("log of "+t.Name()), nil)),
		})
		_ = write.Close()
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("jeton dev ended with %v", err)
		}
	})
	out := bufio.NewReader(read)
	if _, err := out.ReadString('\n'); err != nil { // it prints when all is in place
		t.Fatalf("jeton dev did not start: %v", err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	d, err := config.ReadDevFile(data)
	must(t, err)
	for what, value := range map[string]string{
		"admin token": d.AdminToken, "password": d.User.Password, "client secret": d.Clients.Web.Secret, "resource's secret": d.Resource.Secret,
	} {
		watched.Secret(what, value)
	}
	return d
}

// picture saves what the browser shows, to be looked at, where JETON_TEST_SHOTS names
// a directory.
func picture(name, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		dir := os.Getenv("JETON_TEST_SHOTS")
		if dir == "" {
			return nil
		}
		if _, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		}); err != nil {
			return err
		}
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	})
}

// A newcomer's browser: the example app, the real pages, and back.
func TestDev_Chromium(t *testing.T) {
	d := runDev(t)
	ctx := browsertest.Chromium(t)
	browsertest.Do(t, ctx, chromedp.EmulateViewport(1000, 760),
		chromedp.Navigate(d.API+"/"), browsertest.Heading("Nobody is signed in"), picture("home", "light"),
		chromedp.Click(`a[href="/login"]`), browsertest.Heading("Sign in"),
		chromedp.KeyEvent(d.User.Login), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(d.User.Password), chromedp.KeyEvent(kb.Enter),
		browsertest.Heading("Allow Example web app"), chromedp.Click(`button[value=allow]`),
		browsertest.Heading("Signed in"), picture("signed-in", "light"), picture("signed-in-dark", "dark"),
		chromedp.EmulateViewport(390, 760), picture("signed-in-phone", "light"), chromedp.EmulateViewport(1000, 760))
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	must(t, err)
	for _, want := range []string{"Alice Example", "alice@example.com", d.Issuer, "2026-11 revenue"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q:\n%s", want, text)
		}
	}
	at, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.origin + location.pathname`))
	must(t, err)
	if at != d.Clients.Web.RedirectURI {
		t.Errorf("the page is at %s", at)
	}

	// The person's own page lists the app.
	browsertest.Do(t, ctx, chromedp.Navigate(d.Issuer+"/"), browsertest.Heading("You are signed in"), picture("apps", "light"), picture("apps-dark", "dark"),
		chromedp.EmulateViewport(390, 760), picture("apps-phone", "light"), chromedp.EmulateViewport(1000, 760))
	if text, err = chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`)); err != nil || !strings.Contains(text, "Your apps\n") {
		t.Errorf("the person's page says, %v:\n%s", err, text)
	}

	// Signed in and consented: again without a question. Then out, and back.
	browsertest.Do(t, ctx, chromedp.Navigate(d.API+"/login"), browsertest.Heading("Signed in"),
		chromedp.Click(`//a[text()="Sign out"]`), browsertest.Heading("Nobody is signed in"),
		chromedp.Navigate(d.API+"/login"), browsertest.Heading("Sign in"))

	// A code that this app did not ask for is not used.
	browsertest.Do(t, ctx, chromedp.Navigate(d.API+"/callback?code=planted&state=x&iss="+d.Issuer), browsertest.Heading("A code arrived"), picture("planted", "light"))
}
