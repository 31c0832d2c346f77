package server

import (
	"net/http"
	"net/netip"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/network"
)

// caller tells where a request came from.
func (s *Server) caller(r *http.Request) (netip.Addr, authority.Context) {
	addr := s.address(r)
	return addr, authority.Context{Network: network.Name(network.Of(addr)), UserAgent: network.UserAgent(r.UserAgent())}
}

// address is the caller's address, behind the proxies that are trusted.
func (s *Server) address(r *http.Request) netip.Addr {
	return network.Caller(r, s.cfg.Listen.TrustedProxies)
}
