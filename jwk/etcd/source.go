// Package etcd is a source of keys that follows what the authority publishes in
// etcd: a rotation is in use as soon as the watch tells of it.
//
//	keys, err := etcd.Follow(etcd.Config{
//		Endpoints: []string{"https://etcd1:2379", "https://etcd2:2379"},
//		Issuer:    "https://id.example.com",
//	})
//	guard, err := jeton.NewGuard(jeton.Config{Issuer: …, Audience: …, Keys: keys})
//
// etcd may be down at the start and at any time later. The last good keys stay
// in use; [jwk.FollowedSet.Staleness] tells for how long nothing was heard.
//
// It is a module of its own, because the client library brings gRPC and protobuf.
package etcd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/jetonhq/jeton/jwk"
)

const (
	defaultPrefix  = "/jeton"
	defaultRecheck = 10 * time.Second
	callTimeout    = 5 * time.Second
	retryPause     = 200 * time.Millisecond
)

// Config says where the ring is.
type Config struct {
	// Endpoints of the cluster, as URLs. Required.
	Endpoints []string

	// Prefix is what the keys under which the authority publishes begin with; a
	// slash and the ring's name follow. Default "/jeton".
	Prefix string

	// Issuer is the authority, exactly as it calls itself. Required.
	Issuer string

	// Ring is the ring's name. Default "access".
	Ring string

	// Member opens a ring of shared secrets. Nil for public keys.
	Member *jwk.MemberKey

	// User and Password are for etcd's own authentication, if User is not empty.
	User, Password string

	// TLS is used if it is not nil.
	TLS *tls.Config

	// Recheck is how often the key is read without being asked to. Default 10 s.
	Recheck time.Duration

	// OnChange is told of each change. It may be nil.
	OnChange func(jwk.Publication)

	// OnError is told of each failure to read, and of publications that cannot be
	// used. It may be nil.
	OnError func(error)
}

// Source is a [jwk.Source] that follows a key of etcd. Close it when done.
type Source struct {
	*jwk.FollowedSet

	config Config
	key    string
	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	work   sync.WaitGroup
	client *clientv3.Client // of follow alone
}

// Follow starts following and returns without waiting for etcd; see
// [jwk.FollowedSet.Wait].
func Follow(c Config) (*Source, error) {
	set, err := jwk.NewFollowedSet(jwk.FollowConfig{Issuer: c.Issuer, Ring: c.Ring, Member: c.Member, OnChange: c.OnChange})
	if err != nil {
		return nil, err
	}
	if len(c.Endpoints) == 0 {
		return nil, errors.New("etcd: Endpoints is empty")
	}
	c.Prefix = cmp.Or(c.Prefix, defaultPrefix)
	c.Ring = cmp.Or(c.Ring, "access")
	c.Recheck = cmp.Or(c.Recheck, defaultRecheck)
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Source{FollowedSet: set, config: c, key: c.Prefix + "/" + c.Ring, ctx: ctx, stop: stop}
	s.work.Go(s.follow)
	return s, nil
}

// Close ends the watch. The keys stay as they are.
func (s *Source) Close() error {
	s.stop()
	s.work.Wait()
	return nil
}

// connect makes the client. With a user it signs in at once, which takes an
// etcd that answers.
func (s *Source) connect() error {
	if s.client != nil {
		return nil
	}
	c := s.config
	client, err := clientv3.New(clientv3.Config{
		Context: s.ctx, Endpoints: c.Endpoints, Username: c.User, Password: c.Password, TLS: c.TLS, Logger: zap.NewNop(),
		DialTimeout: callTimeout, DialKeepAliveTime: callTimeout, DialKeepAliveTimeout: callTimeout, // a partition is noticed by these
	})
	if err == nil {
		s.client = client
	}
	return err
}

// follow reads the key, watches it from the revision that was read, and begins
// again when the watch ends.
func (s *Source) follow() {
	defer func() {
		if s.client != nil {
			_ = s.client.Close()
		}
	}()
	for s.ctx.Err() == nil {
		err := s.connect()
		var revision int64
		if err == nil {
			revision, err = s.read()
		}
		if err == nil {
			err = s.watch(revision + 1)
		}
		if err != nil {
			s.failed(err)
			select {
			case <-s.ctx.Done():
			case <-time.After(retryPause):
			}
		}
	}
}

// read reads the key as it is now: the answer is linearizable, so that the
// cluster has to have a leader. It returns the revision that was answered.
func (s *Source) read() (revision int64, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, callTimeout)
	defer cancel()
	answer, err := s.client.Get(ctx, s.key)
	if err != nil {
		return 0, err
	}
	if len(answer.Kvs) == 0 {
		s.config.OnError(fmt.Errorf("etcd: nothing is published at %s", s.key))
	}
	for _, kv := range answer.Kvs {
		s.offer(kv.Value)
	}
	return answer.Header.Revision, nil
}

// watch takes what changes from a revision on, and reads the key from time to
// time: silence is no proof that nothing changed.
func (s *Source) watch(from int64) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(s.ctx))
	defer cancel()
	changes := s.client.Watch(ctx, s.key, clientv3.WithRev(from))
	recheck := time.NewTicker(s.config.Recheck)
	defer recheck.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return nil
		case <-recheck.C:
			if _, err := s.read(); err != nil {
				return err
			}
		case change, ok := <-changes:
			if !ok {
				return errors.New("watch ended")
			}
			if err := change.Err(); err != nil {
				return err // compacted, or no leader: the key is read again
			}
			for _, event := range change.Events {
				if event.Type == clientv3.EventTypePut {
					s.offer(event.Kv.Value)
				}
			}
		}
	}
}

func (s *Source) offer(document []byte) {
	if err := s.Offer(document); err != nil {
		s.config.OnError(fmt.Errorf("etcd: publication at %s: %w", s.key, err))
	}
}

func (s *Source) failed(err error) {
	if s.ctx.Err() == nil {
		s.config.OnError(fmt.Errorf("etcd: read %s: %w", s.key, err))
	}
}
