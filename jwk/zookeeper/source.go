// Package zookeeper is a source of keys that follows what the authority
// publishes in Apache ZooKeeper: a rotation is in use as soon as the watch
// fires.
//
//	keys, err := zookeeper.Follow(zookeeper.Config{
//		Servers: []string{"zk1:2181", "zk2:2181", "zk3:2181"},
//		Issuer:  "https://id.example.com",
//	})
//	guard, err := jeton.NewGuard(jeton.Config{Issuer: …, Audience: …, Keys: keys})
//
// ZooKeeper may be down at the start and at any time later. The last good keys
// stay in use; [jwk.FollowedSet.Staleness] tells for how long nothing was heard.
// A watch of ZooKeeper fires once and says nothing of what changed: each is set
// in the same step that reads the node, so that no change falls between the two,
// and the node is read again from time to time whatever the watches say.
package zookeeper

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/jetonhq/jeton/jwk"
)

const (
	defaultPath    = "/jeton"
	defaultSession = 10 * time.Second
	defaultRecheck = 10 * time.Second
	retryPause     = 200 * time.Millisecond
)

// Config says where the ring is.
type Config struct {
	// Servers of the ensemble, as host:port. Required.
	Servers []string

	// Path is the node under which the authority publishes, one child per ring.
	// Default "/jeton".
	Path string

	// Issuer is the authority, exactly as it calls itself. Required.
	Issuer string

	// Ring is the ring's name. Default "access".
	Ring string

	// Member opens a ring of shared secrets. Nil for public keys.
	Member *jwk.MemberKey

	// User and Password are sent with the scheme "digest", if User is not empty.
	User, Password string

	// TLS is used if it is not nil.
	TLS *tls.Config

	// SessionTimeout is how long ZooKeeper keeps the session, and its watches, of
	// a server that it does not hear. Default 10 s.
	SessionTimeout time.Duration

	// Recheck is how often the node is read without being asked to. Default 10 s.
	Recheck time.Duration

	// OnChange is told of each change. It may be nil.
	OnChange func(jwk.Publication)

	// OnError is told of each failure to read, and of publications that cannot be
	// used. It may be nil.
	OnError func(error)
}

// Source is a [jwk.Source] that follows a node. Close it when done.
type Source struct {
	*jwk.FollowedSet

	config Config
	node   string
	conn   *zk.Conn
	stop   chan struct{}
	once   sync.Once
	work   sync.WaitGroup
}

// Follow starts following and returns without waiting for ZooKeeper; see
// [jwk.FollowedSet.Wait].
func Follow(c Config) (*Source, error) {
	set, err := jwk.NewFollowedSet(jwk.FollowConfig{Issuer: c.Issuer, Ring: c.Ring, Member: c.Member, OnChange: c.OnChange})
	if err != nil {
		return nil, err
	}
	if len(c.Servers) == 0 {
		return nil, errors.New("zookeeper: Servers is empty")
	}
	c.Path = cmp.Or(c.Path, defaultPath)
	c.Ring = cmp.Or(c.Ring, "access")
	c.SessionTimeout = cmp.Or(c.SessionTimeout, defaultSession)
	c.Recheck = cmp.Or(c.Recheck, defaultRecheck)
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	conn, _, err := zk.Connect(c.Servers, c.SessionTimeout, zk.WithDialer(dialer(c.TLS)), zk.WithLogger(silent{}))
	if err != nil {
		return nil, fmt.Errorf("zookeeper: %w", err)
	}
	s := &Source{FollowedSet: set, config: c, node: c.Path + "/" + c.Ring, conn: conn, stop: make(chan struct{})}
	s.work.Go(s.follow)
	return s, nil
}

// dialer is the client's own, with or without TLS.
func dialer(config *tls.Config) zk.Dialer {
	return func(network, address string, timeout time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if config == nil {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
	}
}

// silent: what matters reaches OnError.
type silent struct{}

func (silent) Printf(string, ...any) {}

// Close ends the session. The keys stay as they are.
func (s *Source) Close() error {
	s.once.Do(func() { close(s.stop) })
	s.conn.Close()
	s.work.Wait()
	return nil
}

// follow reads the node, and again whenever it may have changed.
func (s *Source) follow() {
	if s.config.User != "" {
		// It is sent again by the client after each reconnect.
		if err := s.conn.AddAuth("digest", []byte(s.config.User+":"+s.config.Password)); err != nil {
			s.failed(err)
		}
	}
	for {
		changed, err := s.arm()
		if err != nil {
			s.failed(err)
			if !s.pause(retryPause) {
				return
			}
			continue
		}
		if !s.until(changed) {
			return
		}
	}
}

// arm reads the node and sets a watch, in one step.
func (s *Source) arm() (changed <-chan zk.Event, err error) {
	document, _, changed, err := s.conn.GetW(s.node)
	if errors.Is(err, zk.ErrNoNode) {
		var exists bool
		if exists, _, changed, err = s.conn.ExistsW(s.node); err == nil && exists {
			return s.arm()
		}
		if err == nil {
			s.config.OnError(fmt.Errorf("zookeeper: nothing is published at %s", s.node))
		}
		return changed, err
	}
	if err != nil {
		return nil, err
	}
	s.offer(document)
	return changed, nil
}

// until waits for the watch, reading the node from time to time. It reports
// false when the source is closed.
func (s *Source) until(changed <-chan zk.Event) bool {
	for {
		select {
		case <-s.stop:
			return false
		case <-changed: // or the session has expired, and the watch with it
			return true
		case <-time.After(s.config.Recheck):
			s.recheck()
		}
	}
}

// recheck notices what a watch would not tell: that the server answering us has
// fallen behind, or that nobody answers.
func (s *Source) recheck() {
	if _, err := s.conn.Sync(s.node); err != nil {
		s.failed(err)
		return
	}
	document, _, err := s.conn.Get(s.node)
	switch {
	case errors.Is(err, zk.ErrNoNode): // the watch tells when it is there again
	case err != nil:
		s.failed(err)
	default:
		s.offer(document)
	}
}

func (s *Source) offer(document []byte) {
	if err := s.Offer(document); err != nil {
		s.config.OnError(fmt.Errorf("zookeeper: publication at %s: %w", s.node, err))
	}
}

func (s *Source) failed(err error) {
	select {
	case <-s.stop:
	default:
		s.config.OnError(fmt.Errorf("zookeeper: read %s: %w", s.node, err))
	}
}

func (s *Source) pause(d time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	select {
	case <-s.stop:
		return false
	case <-ctx.Done():
		return true
	}
}
