// Package etcd keeps the published key rings in keys of etcd. It speaks the JSON
// form of the API (the gateway that every etcd serves beside gRPC): two calls,
// for which the client library would bring gRPC, protobuf and more to everyone
// who depends on this module.
package etcd

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	answerLimit = 4 << 20
	callTimeout = 5 * time.Second
)

// Config says where the keys are.
type Config struct {
	Endpoints      []string // URLs
	Prefix         string   // of the rings' keys
	User, Password string   // of etcd's own authentication; empty: none
	TLS            *tls.Config
}

// Place is a cluster of etcd.
type Place struct {
	config Config
	client *http.Client

	mu    sync.Mutex
	first int    // guarded by mu: index of the endpoint that answered last
	token string // guarded by mu: of the authenticated user
}

// Open checks the configuration. It does not connect.
func Open(c Config) (*Place, error) {
	if len(c.Endpoints) == 0 || c.Prefix == "" {
		return nil, errors.New("etcd: need endpoints and a prefix")
	}
	transport := &http.Transport{TLSClientConfig: c.TLS, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}
	client := &http.Client{
		Transport: transport, Timeout: callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Place{config: c, client: client}, nil
}

// String names the place in logs.
func (p *Place) String() string { return "etcd " + p.config.Prefix }

// Close closes idle connections.
func (p *Place) Close() error {
	p.client.CloseIdleConnections()
	return nil
}

// Bytes are written as base64, numbers of 64 bits as text (the JSON mapping of
// protocol buffers).
type (
	rangeRequest struct {
		Key []byte `json:"key"`
	}
	rangeAnswer struct {
		Kvs []struct {
			Value       []byte `json:"value"`
			ModRevision int64  `json:"mod_revision,string"`
		} `json:"kvs"`
	}
	compare struct {
		Key         []byte `json:"key"`
		Target      string `json:"target"`
		Result      string `json:"result"`
		ModRevision int64  `json:"mod_revision,string"`
	}
	put struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
	}
	operation struct {
		Put put `json:"request_put"`
	}
	txnRequest struct {
		Compare []compare   `json:"compare"`
		Success []operation `json:"success"`
	}
	txnAnswer struct {
		Succeeded bool `json:"succeeded"`
	}
	authRequest struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	authAnswer struct {
		Token string `json:"token"`
	}
)

// Update replaces the document of a ring by what decide makes of the present
// one, which is nil when there is none; nil leaves it as it is. When somebody
// else was faster, decide is asked again.
func (p *Place) Update(ctx context.Context, ring string, decide func(present []byte) ([]byte, error)) error {
	key := []byte(p.config.Prefix + "/" + ring)
	for ctx.Err() == nil {
		var read rangeAnswer
		if err := p.call(ctx, "/v3/kv/range", rangeRequest{key}, &read); err != nil {
			return err
		}
		var present []byte
		var revision int64 // 0: there is no such key
		if len(read.Kvs) > 0 {
			present, revision = read.Kvs[0].Value, read.Kvs[0].ModRevision
		}
		next, err := decide(present)
		if err != nil || next == nil {
			return err
		}
		var wrote txnAnswer
		err = p.call(ctx, "/v3/kv/txn", txnRequest{
			Compare: []compare{{Key: key, Target: "MOD", Result: "EQUAL", ModRevision: revision}},
			Success: []operation{{put{key, next}}},
		}, &wrote)
		if err != nil || wrote.Succeeded {
			return err
		}
	}
	return ctx.Err()
}

// errAuth says that the token is missing or no longer good.
var errAuth = errors.New("etcd: not authenticated")

// call asks one endpoint after the other, beginning with the one that answered
// last.
func (p *Place) call(ctx context.Context, path string, body, answer any) error {
	p.mu.Lock()
	first := p.first
	p.mu.Unlock()
	var failures []error
	for i := range p.config.Endpoints {
		at := (first + i) % len(p.config.Endpoints)
		err := p.authenticated(ctx, p.config.Endpoints[at], path, body, answer)
		if err == nil {
			p.mu.Lock()
			p.first = at
			p.mu.Unlock()
			return nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failures...)
}

// authenticated signs in when there is a user and no token, or one that has expired.
func (p *Place) authenticated(ctx context.Context, endpoint, path string, body, answer any) error {
	if p.config.User == "" {
		return p.post(ctx, endpoint, path, "", body, answer)
	}
	p.mu.Lock()
	token := p.token
	p.mu.Unlock()
	if token != "" {
		if err := p.post(ctx, endpoint, path, token, body, answer); !errors.Is(err, errAuth) {
			return err
		}
	}
	var auth authAnswer
	if err := p.post(ctx, endpoint, "/v3/auth/authenticate", "", authRequest{p.config.User, p.config.Password}, &auth); err != nil {
		return err
	}
	p.mu.Lock()
	p.token = auth.Token
	p.mu.Unlock()
	return p.post(ctx, endpoint, path, auth.Token, body, answer)
}

func (p *Place) post(ctx context.Context, endpoint, path, token string, body, answer any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(endpoint, "/")+path, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	response, err := p.client.Do(r)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("etcd: %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return refused(path, response.StatusCode, raw)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("etcd: %s: answer is not JSON of the expected form", path)
	}
	return nil
}

// refused reads an error of the gateway. What it says about a request is kept
// out: a request may hold a password.
func refused(path string, status int, raw []byte) error {
	var e struct {
		Code    int    `json:"code"` // of gRPC
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	_ = json.Unmarshal(raw, &e)
	text := e.Message
	if text == "" {
		text = e.Error
	}
	const unauthenticated = 16
	if e.Code == unauthenticated || status == http.StatusUnauthorized || strings.Contains(text, "invalid auth token") || strings.Contains(text, "user name is empty") {
		return fmt.Errorf("%w: %s", errAuth, text)
	}
	return fmt.Errorf("etcd: %s: status %d: %.200s", path, status, text)
}
