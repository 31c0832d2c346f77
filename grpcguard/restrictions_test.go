package jetongrpc_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/jetontest"
	"github.com/jetonhq/jeton/revocation"
)

// A central policy goes by POST and the full method, for calls and for streams.
func TestPolicy(t *testing.T) {
	const incarnation = "0123456789abcdef"
	policy := func(seq int, method string) string {
		return fmt.Sprintf(`{"seq":%d,"kind":"policy","name":"p%d","data":{"audience":%q,"method":"POST","pattern":%q,"demands":{"scope":["special"]}}}`,
			seq, seq, jetontest.Audience, method)
	}
	feed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "event: snapshot\nid: %s-2\ndata: {\"incarnation\":%q,\"seq\":2,\"part\":0,\"end\":true,\"entries\":[%s,%s]}\n\n",
			incarnation, incarnation, policy(1, "/test.Who/Delete"), policy(2, "/test.Who/Chat"))
		for beat := time.NewTicker(100 * time.Millisecond); ; {
			_, _ = w.Write(revocation.AppendHeartbeat(nil, incarnation, 2, time.Now()))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-beat.C:
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(feed.Close) // after the guard, which holds a stream open
	authority := jetontest.New(t)
	conn := serve(t, authority, func(c *jeton.Config) { c.FeedURL, c.FailMode = feed.URL, jeton.Closed })
	editor := with(t.Context(), "Bearer "+authority.Token(t, jetontest.Scope("read", "delete")))
	special := with(t.Context(), "Bearer "+authority.Token(t, jetontest.Scope("read", "delete", "special")))
	until(t, "OK[]", func() string { _, ended := unary(editor, conn, "Get"); return ended })
	if _, got := unary(editor, conn, "Delete"); got != "PermissionDenied[insufficient_scope]" {
		t.Error(got)
	}
	if _, got := open(t, editor, conn, "Chat")(); got != "PermissionDenied[insufficient_scope]" {
		t.Error(got)
	}
	if _, got := unary(special, conn, "Delete"); got != "OK[]" {
		t.Error(got)
	}
	round := open(t, special, conn, "Chat")
	for range 3 {
		if _, got := round(); got != "OK[]" {
			t.Error(got)
		}
	}
}

// A token that is good for so many uses opens no stream, and is not asked about.
func TestStream_Uses(t *testing.T) {
	authority := jetontest.New(t)
	conn := serve(t, authority, nil)
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	token := encode(`{"alg":"ES256","typ":"at+jwt","kid":"k"}`) + "." + encode(`{"uses":3}`) + "." + encode("signature")
	if _, got := open(t, with(t.Context(), "Bearer "+token), conn, "Chat")(); got != "Unauthenticated[unsupported_restriction]" {
		t.Error(got)
	}
}
