// Package zookeeper keeps the published key rings in nodes of Apache ZooKeeper.
package zookeeper

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// sessionTimeout matters little: nothing ephemeral is kept.
const sessionTimeout = 10 * time.Second

// Config says where the nodes are.
type Config struct {
	Servers        []string // host:port
	Path           string   // the rings' parent; made when it is missing
	User, Password string   // scheme "digest"; with it only this user may write
	TLS            *tls.Config
}

// Place is an ensemble of ZooKeeper.
type Place struct {
	config Config
	conn   *zk.Conn
	acl    []zk.ACL

	mu       sync.Mutex // held while introducing us
	identity bool       // guarded by mu: who we are was said; the client repeats it after a reconnect
}

// Open returns without waiting for ZooKeeper.
func Open(c Config) (*Place, error) {
	if len(c.Servers) == 0 || !strings.HasPrefix(c.Path, "/") {
		return nil, errors.New("zookeeper: need servers, and a path that begins with a slash")
	}
	conn, _, err := zk.Connect(c.Servers, sessionTimeout, zk.WithLogger(silent{}), zk.WithDialer(
		func(network, address string, timeout time.Duration) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			if c.TLS == nil {
				return new(net.Dialer).DialContext(ctx, network, address)
			}
			return (&tls.Dialer{Config: c.TLS}).DialContext(ctx, network, address)
		}))
	if err != nil {
		return nil, fmt.Errorf("zookeeper: %w", err)
	}
	p := &Place{config: c, conn: conn, acl: zk.WorldACL(zk.PermAll)}
	if c.User != "" {
		// Read by anyone: what is secret in a publication is encrypted.
		p.acl = append(zk.DigestACL(zk.PermAll, c.User, c.Password), zk.WorldACL(zk.PermRead)...)
	}
	return p, nil
}

// silent: errors are returned, and logged by the caller.
type silent struct{}

func (silent) Printf(string, ...any) {}

// String names the place in logs.
func (p *Place) String() string { return "zookeeper" + p.config.Path }

// Close ends the session.
func (p *Place) Close() error {
	p.conn.Close()
	return nil
}

// Update replaces the document of a ring by what decide makes of the present
// one, which is nil when there is none; nil leaves it as it is. When somebody
// else was faster, decide is asked again.
func (p *Place) Update(ctx context.Context, ring string, decide func(present []byte) ([]byte, error)) error {
	// The client waits for a connection however long that takes.
	done := make(chan error, 1)
	go func() { done <- p.update(ctx, p.config.Path+"/"+ring, decide) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("zookeeper: %w", ctx.Err())
	}
}

func (p *Place) update(ctx context.Context, node string, decide func([]byte) ([]byte, error)) error {
	if err := p.introduce(); err != nil {
		return fmt.Errorf("zookeeper: authenticate: %w", err)
	}
	for ctx.Err() == nil {
		// Reads are answered by the server we are connected to, which may be behind.
		if _, err := p.conn.Sync(node); err != nil {
			return fmt.Errorf("zookeeper: sync: %w", err)
		}
		present, stat, err := p.conn.Get(node)
		if errors.Is(err, zk.ErrNoNode) {
			present, stat, err = nil, nil, nil
		}
		if err != nil {
			return fmt.Errorf("zookeeper: read %s: %w", node, err)
		}
		next, err := decide(present)
		if err != nil || next == nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if stat == nil {
			err = p.create(node, next)
		} else {
			_, err = p.conn.Set(node, next, stat.Version)
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNodeExists), errors.Is(err, zk.ErrNoNode):
			// somebody else was here in between
		default:
			return fmt.Errorf("zookeeper: write %s: %w", node, err)
		}
	}
	return ctx.Err()
}

func (p *Place) introduce() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.config.User == "" || p.identity {
		return nil
	}
	err := p.conn.AddAuth("digest", []byte(p.config.User+":"+p.config.Password))
	p.identity = err == nil
	return err
}

// create makes the node, and its parents where they are missing.
func (p *Place) create(node string, document []byte) error {
	_, err := p.conn.Create(node, document, 0, p.acl)
	if !errors.Is(err, zk.ErrNoNode) {
		return err
	}
	if err := p.parents(path.Dir(node)); err != nil {
		return err
	}
	_, err = p.conn.Create(node, document, 0, p.acl)
	return err
}

func (p *Place) parents(node string) error {
	if node == "/" {
		return nil
	}
	_, err := p.conn.Create(node, nil, 0, p.acl)
	if errors.Is(err, zk.ErrNoNode) {
		if err := p.parents(path.Dir(node)); err != nil {
			return err
		}
		_, err = p.conn.Create(node, nil, 0, p.acl)
	}
	if errors.Is(err, zk.ErrNodeExists) {
		return nil
	}
	return err
}
