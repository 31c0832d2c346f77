// Package network knows where requests come from, as closely as is kept: the
// network of an address, never the address. The authority and the guard share it.
package network

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Of is the part of an address that one subscriber usually holds: the /24 of an
// IPv4 address (also of one written as IPv6), the /56 of an IPv6 address; the
// zero Prefix when there is no address. It has no zone and no host part.
func Of(addr netip.Addr) netip.Prefix {
	if !addr.IsValid() {
		return netip.Prefix{}
	}
	addr = addr.Unmap()
	bits := 56
	if addr.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(addr.WithZone(""), bits).Masked()
}

// Name is a network as text, "" for none.
func Name(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

// Code is the network of an address in a word, 0 for none: 1 or 2 for the address
// family in the first byte, the prefix at the end of the others.
func Code(addr netip.Addr) uint64 {
	switch addr = addr.Unmap(); {
	case addr.Is4():
		a := addr.As4()
		return 1<<56 | uint64(a[0])<<16 | uint64(a[1])<<8 | uint64(a[2])
	case addr.Is6():
		a := addr.As16()
		word := uint64(2)
		for _, b := range a[:7] {
			word = word<<8 | uint64(b)
		}
		return word
	}
	return 0
}

// Caller is the address a request came from, invalid when nothing says. The
// header X-Forwarded-For is believed only from a trusted proxy, and read from the
// right: the nearest address that is not itself a trusted proxy. What stands
// further left was written by the caller (SPECS BCP-5).
//
// Texts are copied before they are parsed: an error would keep them, and with
// them, for all that the compiler can see, the whole request and what it is with.
func Caller(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(strings.Clone(r.RemoteAddr))
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	if !within(trusted, addr) {
		return addr
	}
	for _, line := range slices.Backward(r.Header["X-Forwarded-For"]) {
		for more := true; more; {
			hop := line
			if i := strings.LastIndexByte(line, ','); i >= 0 {
				line, hop = line[:i], line[i+1:]
			} else {
				more = false
			}
			next, err := netip.ParseAddr(strings.Clone(strings.TrimSpace(hop)))
			if err != nil {
				return addr
			}
			if addr = next.Unmap(); !within(trusted, addr) {
				return addr
			}
		}
	}
	return addr
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// maxUserAgent bounds what is kept of a User-Agent header, in bytes.
const maxUserAgent = 256

// UserAgent cuts what a caller says about itself to a size that is worth keeping.
func UserAgent(agent string) string {
	agent = strings.ToValidUTF8(agent, "")
	if len(agent) > maxUserAgent {
		agent = strings.ToValidUTF8(agent[:maxUserAgent], "")
	}
	return agent
}
