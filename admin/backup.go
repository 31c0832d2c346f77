package admin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// DigestHeader carries the SHA-256 digest of a backup (RFC 9530 section 3).
const DigestHeader = "Repr-Digest"

// ErrIncomplete: what arrived is not the backup that was sent. Throw it away.
var ErrIncomplete = errors.New("the backup arrived incomplete or changed")

// Backup writes a consistent copy of the server's database to w, while the
// server goes on serving, and returns its length in bytes. What was written is a
// backup only if the error is nil. A timeout of c.HTTP covers the whole transfer.
func (c *Client) Backup(ctx context.Context, w io.Writer, reason string) (int64, error) {
	resp, err := c.send(ctx, request{method: http.MethodGet, path: []string{"backup"}, reason: reason})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, digest), resp.Body)
	if err != nil {
		return n, fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	want := "sha-256=:" + base64.StdEncoding.EncodeToString(digest.Sum(nil)) + ":"
	if n != resp.ContentLength || resp.Header.Get(DigestHeader) != want {
		return n, ErrIncomplete
	}
	return n, nil
}
