package network_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/jetonhq/jeton/internal/network"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct{ addr, want string }{
		{"192.0.2.77", "192.0.2.0/24"}, {"::ffff:192.0.2.77", "192.0.2.0/24"},
		{"2001:db8:1:2ff::9", "2001:db8:1:200::/56"}, {"fe80::1%eth0", "fe80::/56"},
	} {
		if got := network.Name(network.Of(netip.MustParseAddr(tt.addr))); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.addr, got, tt.want)
		}
	}
	if got := network.Name(network.Of(netip.Addr{})); got != "" {
		t.Errorf("no address: got %q", got)
	}
}

func TestCode_IsOneOfEachNetwork(t *testing.T) {
	seen := map[uint64]string{}
	for _, text := range []string{"0.0.0.0", "192.0.2.0", "192.0.3.0", "192.1.2.0", "255.255.255.0", "::", "2001:db8::", "2001:db8:0:100::", "2001:db9::", "ffff:ffff:ffff:ff00::"} {
		addr := netip.MustParseAddr(text)
		code := network.Code(addr)
		if code == 0 || seen[code] != "" {
			t.Errorf("%s and %q have the code %x", text, seen[code], code)
		}
		seen[code] = text
		last := network.Of(addr)
		if network.Code(last.Addr()) != code {
			t.Errorf("%s has another code than its network", text)
		}
	}
	if network.Code(netip.MustParseAddr("192.0.2.1")) != network.Code(netip.MustParseAddr("::ffff:192.0.2.254")) {
		t.Error("one network, two codes")
	}
	if network.Code(netip.Addr{}) != 0 {
		t.Error("no address has a code")
	}
}

func TestBinding(t *testing.T) {
	key, other := network.Key{1}, network.Key{2}
	v4, v6 := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/56")
	at := netip.MustParseAddr
	tests := []struct {
		name     string
		networks []netip.Prefix
		addr     netip.Addr
		want     network.Verdict
	}{
		{"same", []netip.Prefix{v4}, at("192.0.2.9"), network.Same},
		{"other", []netip.Prefix{v4}, at("192.0.3.9"), network.Other},
		{"mapped", []netip.Prefix{v4}, at("::ffff:192.0.2.9"), network.Same},
		{"the other family is not known", []netip.Prefix{v4}, at("2001:db8::1"), network.Unknown},
		{"both known, IPv4", []netip.Prefix{v6, v4}, at("192.0.2.9"), network.Same},
		{"both known, IPv6", []netip.Prefix{v6, v4}, at("2001:db8:0:ff::1"), network.Same},
		{"both known, other IPv6", []netip.Prefix{v6, v4}, at("2001:db8:0:100::1"), network.Other},
		{"the first of a family counts", []netip.Prefix{v4, netip.MustParsePrefix("198.51.100.0/24")}, at("198.51.100.1"), network.Other},
		{"no address", []netip.Prefix{v4}, netip.Addr{}, network.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, enforce := range []bool{false, true} {
				claim := key.Bind(enforce, "grant", tt.networks...)
				b, ok := network.Parse(claim)
				if !ok || b.Enforce != enforce || !b.MadeWith(key) || b.MadeWith(other) {
					t.Fatalf("claim %q: %+v, %v", claim, b, ok)
				}
				if got := key.Compare(&b, "grant", tt.addr); got != tt.want {
					t.Errorf("got %v, want %v", got, tt.want)
				}
				if tt.want == network.Same {
					for what, got := range map[string]network.Verdict{
						"another grant": key.Compare(&b, "grant 2", tt.addr), "another key": other.Compare(&b, "grant", tt.addr),
					} {
						if got != network.Other {
							t.Errorf("%s: got %v", what, got)
						}
					}
				}
			}
		})
	}
	if got := key.Bind(true, "grant", netip.Prefix{}); got != "" {
		t.Errorf("no network: %q", got)
	}
}

func TestParse_Refuses(t *testing.T) {
	good := network.Key{1}.Bind(false, "grant", netip.MustParsePrefix("192.0.2.0/24"))
	for _, claim := range []string{"", "x", good[1:], good + "A", "g" + good[1:], good[:len(good)-1] + "/", good[:len(good)-1] + "\n", strings.Repeat("A", 26) + "B"} {
		if _, ok := network.Parse(claim); ok {
			t.Errorf("%q is taken", claim)
		}
	}
}

func TestKey_DoesNotPrint(t *testing.T) {
	key := network.Key{'s', 'e', 'c', 'r', 'e', 't'}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key, "in", struct{ K network.Key }{key})
	text := fmt.Sprintf("%v %+v %#v %s %x %v", key, key, key, key, key, struct{ K network.Key }{key}) + log.String()
	for _, part := range []string{"secret", "115", "736563"} {
		if strings.Contains(text, part) {
			t.Errorf("%q shows in %s", part, text)
		}
	}
}
