package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/jetonhq/jeton/admin"
)

// mintFlags are a client's minting policy as flags.
type mintFlags struct {
	given    admin.MintPolicy
	scope    string
	lifetime time.Duration
}

func (f *mintFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.given.Subjects, "mint", "", "for `WHOM` it may mint: none (itself), own (and its service accounts), pattern or session (and people); off takes the policy away")
	flags.StringArrayVar(&f.given.Patterns, "mint-pattern", nil, "`PATTERN` of logins it may mint for; repeatable")
	flags.StringSliceVar(&f.given.Claims, "mint-claim", nil, "`NAME` of a further claim it may set; repeatable")
	flags.StringArrayVar(&f.given.Audiences, "mint-audience", nil, "`URL` of an API it may mint for (default: its own audience); repeatable")
	flags.StringVar(&f.scope, "mint-scope", "", "`SCOPES` it may mint (default: its own)")
	flags.DurationVar(&f.lifetime, "mint-lifetime", 0, "longest lifetime of a minted token (default 5m)")
	flags.IntVar(&f.given.Rate, "mint-rate", 0, "tokens it may mint a minute (default 60000)")
	flags.BoolVar(&f.given.Approval, "mint-approval", false, "an administrator approves each batch")
}

// apply copies what was given on the command line, and nothing else.
func (f *mintFlags) apply(flags *pflag.FlagSet, to *admin.ClientSpec) {
	if flags.Changed("mint") && f.given.Subjects == "off" {
		to.Mint = nil
		return
	}
	var p admin.MintPolicy
	if to.Mint != nil {
		p = *to.Mint
	}
	any := false
	for name, copyOne := range map[string]func(){
		"mint":          func() { p.Subjects = f.given.Subjects },
		"mint-pattern":  func() { p.Patterns = f.given.Patterns },
		"mint-claim":    func() { p.Claims = f.given.Claims },
		"mint-audience": func() { p.Audiences = f.given.Audiences },
		"mint-scope":    func() { p.Scope = strings.Fields(f.scope) },
		"mint-lifetime": func() { p.MaxLifetime = admin.Duration(f.lifetime) },
		"mint-rate":     func() { p.Rate = f.given.Rate },
		"mint-approval": func() { p.Approval = f.given.Approval },
	} {
		if flags.Changed(name) {
			copyOne()
			any = true
		}
	}
	if any {
		to.Mint = &p
	}
}

// mints is one line about a minting policy.
func mints(p *admin.MintPolicy) string {
	if p == nil {
		return ""
	}
	text := p.Subjects
	add := func(what, value string) {
		if value != "" {
			text += "; " + what + " " + value
		}
	}
	add("patterns", list(p.Patterns))
	add("claims", list(p.Claims))
	add("audiences", list(p.Audiences))
	add("scope", list(p.Scope))
	add("at most", lifetime(p.MaxLifetime))
	if p.Rate > 0 {
		add("rate", strconv.Itoa(p.Rate)+" a minute")
	}
	if p.Approval {
		text += "; needs approval"
	}
	return text
}
