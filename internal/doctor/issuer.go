package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/jetonhq/jeton/admin"
)

const (
	maxDocument = 1 << 20
	// Big enough for two tokens with proofs; each line below what proxies allow by default.
	paddingLine  = 4 << 10
	paddingLines = 2
	// The feed's heartbeats are 300 ms apart in a probe: unbuffered, the first comes long before the last.
	leastSpread = 400 * time.Millisecond
)

// document is an answer that was read.
type document struct {
	code   int
	status string
	header http.Header
	tls    *tls.ConnectionState
	body   []byte
}

// get asks a URL for a document of bounded size.
func (e *examination) get(ctx context.Context, target string, header http.Header) (document, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return document{}, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := e.HTTP.Do(req)
	if err != nil {
		return document{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	return document{resp.StatusCode, resp.Status, resp.Header, resp.TLS, body}, err
}

const wellKnown = "/.well-known/openid-configuration"

// outside looks at the authority as everybody does.
func (e *examination) outside(ctx context.Context) []Finding {
	sent := e.Now()
	resp, err := e.get(ctx, e.at(wellKnown), nil)
	if err != nil {
		return []Finding{problem("issuer", "it cannot be reached: "+err.Error(), "look at DNS, the firewall, the proxy and its certificate; an authority of your own for certificates is named by SSL_CERT_FILE")}
	}
	if resp.code != http.StatusOK {
		return []Finding{problem("issuer", fmt.Sprintf("%s is answered with %s", e.at(wellKnown), resp.status), "make the proxy pass everything below the issuer's path on, unchanged")}
	}
	found := []Finding{e.metadata(resp.body), e.clock(resp, sent)}
	if resp.tls != nil {
		found = append(found, e.certificate(resp))
	}
	return append(found, e.keySet(ctx, resp.body))
}

func (e *examination) metadata(body []byte) Finding {
	var m struct {
		Issuer string `json:"issuer"`
	}
	const do = "make sure that the issuer URL leads to this server, and that nothing on the way keeps old answers"
	if err := json.Unmarshal(body, &m); err != nil || m.Issuer != e.Config.Config.Issuer {
		return problem("metadata", fmt.Sprintf("it names the issuer %q instead of %q", m.Issuer, e.Config.Config.Issuer), do)
	}
	if e.diagnosis != nil && !same(body, []byte(e.diagnosis.Metadata)) {
		return problem("metadata", "what arrives is not what the server serves", do)
	}
	return good("metadata", "reachable at "+e.at(wellKnown))
}

func (e *examination) keySet(ctx context.Context, metadata []byte) Finding {
	var m struct {
		JWKS string `json:"jwks_uri"`
	}
	const do = "make the proxy pass it on and keep it no longer than its Cache-Control says"
	if err := json.Unmarshal(metadata, &m); err != nil || m.JWKS == "" {
		return problem("key set", "the metadata does not name one", do)
	}
	resp, err := e.get(ctx, m.JWKS, nil)
	switch {
	case err != nil:
		return problem("key set", "it cannot be reached: "+err.Error(), do)
	case resp.code != http.StatusOK:
		return problem("key set", m.JWKS+" is answered with "+resp.status, do)
	case e.diagnosis != nil && !same(resp.body, []byte(e.diagnosis.JWKS)):
		return problem("key set", "what arrives is not what the server serves: servers would refuse good tokens", do)
	}
	return good("key set", "reachable at "+m.JWKS)
}

// same compares JSON.
func same(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// clock compares this machine's with the issuer's, and the server's with both.
func (e *examination) clock(resp document, sent time.Time) Finding {
	const do = "let NTP set the clocks of this machine, of the server and of the proxy"
	date, err := http.ParseTime(resp.header.Get("Date"))
	if err != nil {
		return warning("clock", "the issuer sends no Date", do)
	}
	// A Date has whole seconds and was cut off.
	off := max(sent.Truncate(time.Second).Sub(date), date.Sub(e.Now()), 0)
	if e.diagnosis != nil {
		off = max(off, e.diagnosis.Time.Sub(e.Now()).Abs()-2*patience)
	}
	return graded("clock", off, 2*time.Second, 30*time.Second, "it differs from the issuer's by "+off.Round(time.Second).String(), do)
}

func (e *examination) certificate(resp document) Finding {
	left := resp.tls.PeerCertificates[0].NotAfter.Sub(e.Now())
	text := fmt.Sprintf("it is good for %d days more", int(left.Hours()/24))
	const do = "renew it, and find out why that did not happen by itself"
	switch {
	case left < 3*24*time.Hour:
		return problem("certificate", text, do)
	case left < 14*24*time.Hour && resp.tls.PeerCertificates[0].NotAfter.Sub(resp.tls.PeerCertificates[0].NotBefore) > 30*24*time.Hour:
		return warning("certificate", text, do)
	}
	return good("certificate", text)
}

// management tries to reach the management listener from outside.
func (e *examination) management(ctx context.Context) []Finding {
	const do = "send only the public listener's traffic to the public listener; keep manage.address on a private address"
	bases := []string{e.at(""), e.issuer.Scheme + "://" + e.issuer.Host}
	for _, base := range bases {
		for path, sign := range map[string]string{"/metrics": "jeton_http_requests_total", "/readyz": `"status"`, "/admin/v1/clients": `"code":"unauthorized"`} {
			resp, err := e.get(ctx, base+path, nil)
			if err == nil && resp.code != http.StatusNotFound && bytes.Contains(resp.body, []byte(sign)) {
				return []Finding{problem("management", base+path+" can be reached through the issuer's address", do)}
			}
		}
	}
	return []Finding{good("management", "not to be reached through the issuer's address")}
}

// way sends marked requests through the issuer URL and asks the server what has
// arrived of them.
func (e *examination) way(ctx context.Context) []Finding {
	if e.diagnosis == nil {
		return nil
	}
	probe, err := e.Admin.OpenProbe(ctx)
	if err != nil {
		return []Finding{warning("way", "no probe was opened: "+err.Error(), "try again in a minute")}
	}
	mark := http.Header{admin.ProbeHeader: {probe.ID}}
	_, plain := e.get(ctx, e.at(wellKnown), mark)
	large := mark.Clone()
	for i := range paddingLines {
		large.Set(fmt.Sprintf("Jeton-Padding-%d", i), strings.Repeat("x", paddingLine))
	}
	padded, tooLarge := e.get(ctx, e.at(wellKnown), large)
	feed := e.feed(ctx, mark)
	seen, err := e.Admin.Probe(ctx, probe.ID)
	if err != nil {
		return []Finding{warning("way", "the probe is gone: "+err.Error(), "try again")}
	}
	if plain != nil || len(seen.Arrivals) == 0 {
		return []Finding{problem("way", "a request through the issuer URL did not arrive at this server", "find out where the issuer URL leads; with several servers, ask each through its own management listener")}
	}
	return []Finding{e.proxy(seen.Arrivals[0]), headers(padded, tooLarge, seen.Arrivals), feed}
}

func (e *examination) proxy(a admin.Arrival) Finding {
	const check = "proxy"
	expected := len(e.Config.Config.Listen.TrustedProxies) > 0
	switch {
	case !sameHost(a.Host, e.issuer):
		return problem(check, fmt.Sprintf("the server sees the host %q instead of %q", a.Host, e.issuer.Host), "make the proxy pass Host on unchanged")
	case expected && !a.PeerTrusted:
		return problem(check, "requests come from "+a.Peer+", which is not in listen.trusted_proxies: all people look like one, and are throttled as one", "add its network to listen.trusted_proxies")
	case expected && !a.ForwardedFor:
		return problem(check, "the proxy at "+a.Peer+" sends no X-Forwarded-For: all people look like one, and are throttled as one", "make the proxy set X-Forwarded-For")
	case !expected && a.ForwardedFor:
		return warning(check, "there is a proxy at "+a.Peer+", and listen.trusted_proxies is empty: its X-Forwarded-For is not believed", "name its network in listen.trusted_proxies")
	case expected:
		return good(check, "the caller behind "+a.Peer+" is seen as "+a.Caller)
	}
	return good(check, "none: callers are seen as "+a.Caller)
}

func sameHost(host string, issuer *url.URL) bool {
	port := map[string]string{"https": ":443", "http": ":80"}[issuer.Scheme]
	return strings.TrimSuffix(host, port) == issuer.Host
}

func headers(resp document, err error, arrivals []admin.Arrival) Finding {
	const do = "let the proxy take headers of 16 kB (nginx: large_client_header_buffers)"
	if err != nil {
		return problem("large headers", "a request with 8 kB of headers is not answered: "+err.Error(), do)
	}
	for _, a := range arrivals {
		if a.HeaderBytes > paddingLine*paddingLines {
			return good("large headers", "8 kB arrive")
		}
	}
	return problem("large headers", "a request with 8 kB of headers is answered with "+resp.status+" on the way", do)
}

// feed measures whether heartbeats arrive one by one.
func (e *examination) feed(ctx context.Context, mark http.Header) Finding {
	const do = "switch buffering and compression of /revocations off at the proxy (nginx: proxy_buffering off)"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.at("/revocations"), nil)
	if err != nil {
		return problem("feed", err.Error(), do)
	}
	req.Header = mark.Clone()
	req.Header.Set("Accept", "text/event-stream")
	resp, err := e.HTTP.Do(req)
	if err != nil {
		return problem("feed", "it does not pass: "+err.Error(), do)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return problem("feed", "it is answered with "+resp.Status+" on the way", do)
	}
	var first, last time.Time
	chunk := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(chunk)
		if n > 0 {
			last = time.Now()
			if first.IsZero() {
				first = last
			}
		}
		if err != nil {
			break
		}
	}
	if last.Sub(first) < leastSpread {
		return problem("feed", "its heartbeats arrive all at once: something on the way holds them back, and guards would stop trusting what they know", do)
	}
	return good("feed", "heartbeats arrive one by one")
}
