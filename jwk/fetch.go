package jwk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const maxRedirects = 3

func checkURL(u *url.URL, insecureHTTP bool) error {
	switch {
	case u.Host == "" || u.User != nil:
		return errors.New("jwk: remote set: URL needs a host and no user")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (insecureHTTP || loopback(u.Hostname())):
		return nil
	}
	return errors.New("jwk: remote set: URL must be https (http only to loopback)")
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// guardedClient copies c and holds its redirects to the rules of the first URL.
func guardedClient(c *http.Client, insecureHTTP bool) *http.Client {
	own := http.Client{}
	if c != nil {
		own = *c
	}
	theirs := own.CheckRedirect
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("jwk: remote set: too many redirects")
		}
		if req.URL.Scheme != via[0].URL.Scheme {
			return errors.New("jwk: remote set: redirect to another scheme")
		}
		if err := checkURL(req.URL, insecureHTTP); err != nil {
			return err
		}
		if theirs != nil {
			return theirs(req, via)
		}
		return nil
	}
	return &own
}

// fetch gets the set once, conditionally when one is held.
func (r *RemoteSet) fetch(ctx context.Context) (*heldSet, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, fmt.Errorf("jwk: remote set: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	before := r.held.Load()
	if before != nil && before.etag != "" {
		req.Header.Set("If-None-Match", before.etag)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("jwk: remote set: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	fresh := r.now().Add(r.lifetime(resp.Header.Get("Cache-Control")))
	switch {
	case resp.StatusCode == http.StatusNotModified && before != nil && before.etag != "":
		return &heldSet{set: before.set, fresh: fresh, etag: before.etag}, nil
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("jwk: remote set: status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("jwk: remote set: %w", err)
	}
	set, err := ParseSet(body)
	if err != nil {
		return nil, fmt.Errorf("jwk: remote set: %w", err)
	}
	return &heldSet{set: set, fresh: fresh, etag: resp.Header.Get("ETag")}, nil
}

// lifetime bounds what the other side says about caching: it may ask for more
// freshness, but neither for a fetch per request nor for keys that never change.
func (r *RemoteSet) lifetime(cacheControl string) time.Duration {
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-cache", "no-store":
			return r.coolDown
		case "max-age":
			seconds, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32)
			if err == nil && seconds >= 0 {
				return min(max(time.Duration(seconds)*time.Second, r.coolDown), r.maxAge)
			}
		}
	}
	return r.maxAge
}
