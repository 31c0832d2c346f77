// Package browsertest drives pages in a real browser.
package browsertest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/jetonhq/jeton/internal/installed"
)

// Step is something that is done in the browser.
type Step = chromedp.Action[chromedp.Void]

// Chromium starts a browser with a profile of its own, without a window, for the
// length of the test. It accepts the certificates that the test's servers have.
func Chromium(t *testing.T) context.Context {
	t.Helper()
	allocator, stop := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(installed.Program(t, "chromium")), chromedp.UserDataDir(profile(t)),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(time.Minute),
	)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// profile is a directory for the browser. Its processes may still write there
// for a moment after it stopped, so removing it can take a few attempts.
func profile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "profile")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 100 {
			if os.RemoveAll(dir) == nil {
				return
			}
			<-time.After(50 * time.Millisecond)
		}
	})
	return dir
}

// Do takes steps, one after the other.
func Do(t *testing.T, ctx context.Context, steps ...Step) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// Read evaluates an expression in the page, and waits for it if it is a promise.
func Read[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// Heading waits for a page with this heading.
func Heading(text string) Step {
	return chromedp.WaitVisible(`//h1[contains(normalize-space(.), "` + text + `")]`)
}
