package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jetonhq/jeton/internal/config"
)

// certificate serves a certificate from files and reads them again when they
// change, at most once a second. A pair that does not load (half written by a
// renewal) is reported and the last good one kept.
type certificate struct {
	files config.TLS
	log   *slog.Logger

	mu      sync.Mutex
	loaded  *tls.Certificate // guarded by mu, as are the fields below
	stamp   [2]time.Time
	checked time.Time
}

func loadCertificate(files config.TLS, log *slog.Logger) (*certificate, error) {
	c := &certificate{files: files, log: log}
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("server: load certificate: %w", err)
	}
	c.loaded, c.stamp, c.checked = &pair, c.stamps(), time.Now()
	return c, nil
}

// stamps are the modification times of both files, zero where one is missing.
func (c *certificate) stamps() (s [2]time.Time) {
	for i, path := range []string{c.files.CertFile, c.files.KeyFile} {
		if info, err := os.Stat(path); err == nil {
			s[i] = info.ModTime()
		}
	}
	return s
}

// get implements tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= time.Second {
		c.checked = now
		if stamp := c.stamps(); stamp != c.stamp {
			pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
			if err != nil {
				c.log.Error("changed certificate does not load; serving the last good one", "error", err)
			} else {
				c.loaded, c.stamp = &pair, stamp
				c.log.Info("certificate loaded again")
			}
		}
	}
	return c.loaded, nil
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
}
