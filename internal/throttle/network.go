package throttle

import "net/netip"

// Network is the part of an address that one subscriber usually holds, as
// text: the /24 of an IPv4 address (also of one written as IPv6), the /56 of an
// IPv6 address, "" when there is no address. It has no zone and no host part,
// so it may be kept where an address may not.
func Network(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	addr = addr.Unmap()
	bits := 56
	if addr.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(addr.WithZone(""), bits).Masked().String()
}
