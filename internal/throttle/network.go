package throttle

import (
	"net/netip"

	"github.com/jetonhq/jeton/internal/network"
)

// Network is the network of an address as text, "" when there is no address. It
// may be kept where an address may not.
func Network(addr netip.Addr) string { return network.Name(network.Of(addr)) }
