package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/throttle"
)

// maxUserAgent bounds what is kept of a User-Agent header, in bytes.
const maxUserAgent = 256

// caller tells where a request came from.
func (s *Server) caller(r *http.Request) (netip.Addr, authority.Context) {
	addr := s.address(r)
	agent := strings.ToValidUTF8(r.UserAgent(), "")
	if len(agent) > maxUserAgent {
		agent = strings.ToValidUTF8(agent[:maxUserAgent], "")
	}
	return addr, authority.Context{Network: throttle.Network(addr), UserAgent: agent}
}

// address is the caller's address. X-Forwarded-For is believed only from a
// trusted proxy, and read from the right: the nearest address that is not
// itself a trusted proxy. What stands further left was written by the caller
// (SPECS BCP-5).
func (s *Server) address(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	if !s.trusted(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		addr = next.Unmap()
		if !s.trusted(addr) {
			break
		}
	}
	return addr
}

func (s *Server) trusted(addr netip.Addr) bool {
	return slices.ContainsFunc(s.cfg.Listen.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}
