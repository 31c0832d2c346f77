package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/config"
)

// keys says what the schedule does next.
func (e *examination) keys(ctx context.Context) []Finding {
	if e.diagnosis == nil {
		return nil
	}
	list, err := e.Admin.Keys(ctx, "")
	if err != nil {
		return []Finding{problem("keys", err.Error(), "see the server's log")}
	}
	all := list.Items
	var next *admin.Key
	overdue := 0
	for i, k := range all {
		if k.NextAt.IsZero() {
			continue
		}
		if e.Now().Sub(k.NextAt) > 10*time.Minute {
			overdue++
		}
		if next == nil || k.NextAt.Before(next.NextAt) {
			next = &all[i]
		}
	}
	if overdue > 0 {
		return []Finding{problem("keys", fmt.Sprintf("%d steps of the schedule are overdue", overdue), "see the server's log, and `jeton key list`")}
	}
	if next == nil {
		return []Finding{warning("keys", "the schedule has no next step", "see `jeton key list`")}
	}
	return []Finding{good("keys", fmt.Sprintf("next, a key of ring %s becomes %s at %s", next.Ring, next.NextState, next.NextAt.Format(time.RFC3339)))}
}

func (e *examination) deliveries(context.Context) []Finding {
	if e.diagnosis == nil {
		return nil
	}
	oldest := e.diagnosis.OldestWaits.Std()
	return []Finding{graded("deliveries", oldest, 5*time.Minute, 24*time.Hour, fmt.Sprintf("%d wait, the oldest for %v", e.diagnosis.Pending, oldest),
		"see `jeton delivery list --state pending` for who does not take them")}
}

func (e *examination) published(context.Context) []Finding {
	if e.diagnosis == nil {
		return nil
	}
	var found []Finding
	for _, p := range e.diagnosis.Publications {
		if p.Failures > 0 || p.Complete.IsZero() {
			found = append(found, problem("publishing", fmt.Sprintf("%s: %d attempts in a row have failed", p.Place, p.Failures), "see the server's log for what the service answers"))
			continue
		}
		found = append(found, good("publishing", p.Place+" had every ring at "+p.Complete.Format(time.RFC3339)))
	}
	return found
}

// mail waits for the greeting of the mail server.
func (e *examination) mail(ctx context.Context) []Finding {
	s := e.Config.Config.Notify.SMTP
	if s.Host == "" {
		return nil
	}
	port := s.Port
	if port == 0 {
		port = map[string]int{"tls": 465, "none": 25}[s.TLS]
		if port == 0 {
			port = 587
		}
	}
	address := net.JoinHostPort(s.Host, strconv.Itoa(port))
	const do = "look at notify.smtp, the firewall and the mail server; then `jeton mail test`"
	server, err := s.Server()
	if err != nil {
		return []Finding{problem("mail", err.Error(), do)}
	}
	var secure *tls.Config
	if s.TLS == "tls" {
		secure = &tls.Config{ServerName: s.Host, RootCAs: server.Roots, MinVersion: tls.VersionTLS12}
	}
	conn, err := dial(ctx, address, secure)
	if err != nil {
		return []Finding{problem("mail", address+": "+err.Error(), do)}
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "220") {
		return []Finding{problem("mail", address+" does not greet as a mail server does", do)}
	}
	return []Finding{good("mail", address+" answers")}
}

func dial(ctx context.Context, address string, secure *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if secure != nil {
		return (&tls.Dialer{Config: secure}).DialContext(ctx, "tcp", address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

func (e *examination) zooKeeper(ctx context.Context) []Finding {
	z := e.Config.Config.Publish.ZooKeeper
	secure, err := z.ClientTLS()
	if err != nil {
		return []Finding{problem("zookeeper", err.Error(), "mend publish.zookeeper")}
	}
	return majority("zookeeper", z.Servers, func(server string) error {
		config := secure
		if config != nil {
			config = config.Clone()
			config.ServerName, _, _ = net.SplitHostPort(server)
		}
		conn, err := dial(ctx, server, config)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func (e *examination) etcd(ctx context.Context) []Finding {
	c := e.Config.Config.Publish.Etcd
	if len(c.Endpoints) == 0 {
		return nil
	}
	client, err := etcdClient(c)
	if err != nil {
		return []Finding{problem("etcd", err.Error(), "mend publish.etcd")}
	}
	return majority("etcd", c.Endpoints, func(endpoint string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/version", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", resp.Status)
		}
		return nil
	})
}

func etcdClient(c config.Etcd) (*http.Client, error) {
	secure, err := c.ClientTLS()
	if err != nil {
		return nil, err
	}
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: secure, DisableKeepAlives: true}}, nil
}

// majority asks each member of a cluster: it works while more than half do.
func majority(check string, members []string, ask func(string) error) []Finding {
	if len(members) == 0 {
		return nil
	}
	var silent []string
	for _, m := range members {
		if err := ask(m); err != nil {
			silent = append(silent, m+" ("+err.Error()+")")
		}
	}
	slices.Sort(silent)
	text := fmt.Sprintf("%d of %d answer", len(members)-len(silent), len(members))
	if len(silent) > 0 {
		text += "; not " + strings.Join(silent, ", ")
	}
	const do = "look at the service; guards keep the keys they have, and new ones do not reach them meanwhile"
	switch {
	case 2*len(silent) >= len(members):
		return []Finding{problem(check, text, do)}
	case len(silent) > 0:
		return []Finding{warning(check, text, do)}
	}
	return []Finding{good(check, text)}
}
