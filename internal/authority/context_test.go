package authority_test

import (
	"testing"

	"github.com/jetonhq/jeton/internal/authority"
)

func TestFamily(t *testing.T) {
	const webkit = " AppleWebKit/537.36 (KHTML, like Gecko) "
	tests := []struct{ name, agent, want string }{
		{"Firefox", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "firefox linux"},
		{"Firefox on iOS", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/140.0 Mobile/15E148 Safari/605.1.15", "firefox apple"},
		{"Chrome", "Mozilla/5.0 (Windows NT 10.0; Win64; x64)" + webkit + "Chrome/139.0.0.0 Safari/537.36", "chrome windows"},
		{"Chrome on a phone", "Mozilla/5.0 (Linux; Android 10; K)" + webkit + "Chrome/139.0.0.0 Mobile Safari/537.36", "chrome linux"},
		{"Chrome on a phone that asks for the desktop site", "Mozilla/5.0 (X11; Linux x86_64)" + webkit + "Chrome/139.0.0.0 Safari/537.36", "chrome linux"},
		{"Edge", "Mozilla/5.0 (Windows NT 10.0; Win64; x64)" + webkit + "Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0", "edge windows"},
		{"Edge on a phone", "Mozilla/5.0 (Linux; Android 10; K)" + webkit + "Chrome/139.0.0.0 Mobile Safari/537.36 EdgA/139.0.0.0", "edge linux"},
		{"Opera", "Mozilla/5.0 (Windows NT 10.0; Win64; x64)" + webkit + "Chrome/139.0.0.0 Safari/537.36 OPR/120.0.0.0", "opera windows"},
		{"Safari", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "safari apple"},
		{"Safari on an iPad", "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1", "safari apple"},
		{"a program", "report-cli/1.4.2 (linux)", "report-cli"},
		{"Go", "Go-http-client/1.1", "go-http-client"},
		{"curl", "curl/8.14.1", "curl"},
		{"none", "", ""},
	}
	for _, tt := range tests {
		if got := authority.Family(tt.agent); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestContext_Compared(t *testing.T) {
	const v4, other4, v6, other6 = "192.0.2.0/24", "198.51.100.0/24", "2001:db8::/56", "2001:db8:0:100::/56"
	const linux, windows = "Mozilla/5.0 (X11; Linux) Firefox/1.0", "Mozilla/5.0 (Windows NT) Chrome/1.0"
	ctx := func(network, agent string) authority.Context {
		return authority.Context{Network: network, UserAgent: agent}
	}
	tests := []struct {
		name       string
		seen       authority.Context
		known      []authority.Context
		changed    string
		elsewhere  bool
		impossible bool
	}{
		{"nothing known", ctx(v4, linux), nil, "", false, false},
		{"nothing known of it", ctx(v4, linux), []authority.Context{{}}, "", false, false},
		{"the same", ctx(v4, linux), []authority.Context{ctx(v4, linux)}, "", false, false},
		{"nothing said", ctx("", ""), []authority.Context{ctx(v4, linux)}, "", false, false},
		{"network", ctx(other4, linux), []authority.Context{ctx(v4, linux)}, authority.ChangedNetwork, true, false},
		{"agent", ctx(v4, windows), []authority.Context{ctx(v4, linux)}, authority.ChangedUserAgent, false, true},
		{"both", ctx(other4, windows), []authority.Context{ctx(v4, linux)}, authority.ChangedBoth, true, true},
		{"back to the first", ctx(v4, linux), []authority.Context{ctx(v4, linux), ctx(other4, windows)}, "", false, false},
		{"each known, from different uses", ctx(v4, windows), []authority.Context{ctx(v4, linux), ctx(other4, windows)}, "", false, false},
		{"by the other family", ctx(v6, linux), []authority.Context{ctx(v4, linux)}, authority.ChangedNetwork, false, false},
		{"another network of a family known too", ctx(other6, linux), []authority.Context{ctx(v4, linux), ctx(v6, linux)}, authority.ChangedNetwork, true, false},
		{"a program instead of a browser", ctx(v4, "curl/8"), []authority.Context{ctx(v4, linux)}, authority.ChangedUserAgent, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.seen.Changed(tt.known...); got != tt.changed {
				t.Errorf("changed %q, want %q", got, tt.changed)
			}
			if got := tt.seen.Elsewhere(tt.known...); got != tt.elsewhere {
				t.Errorf("elsewhere %v, want %v", got, tt.elsewhere)
			}
			if got := tt.seen.Impossible(tt.known...); got != tt.impossible {
				t.Errorf("impossible %v, want %v", got, tt.impossible)
			}
		})
	}
}
