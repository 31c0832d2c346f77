package provision

import (
	"cmp"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
)

func mintPolicy(w *admin.MintPolicy) *authority.MintPolicy {
	if w == nil {
		return nil
	}
	return &authority.MintPolicy{
		Subjects: authority.MintSubjects(cmp.Or(w.Subjects, string(authority.MintNone))), Patterns: w.Patterns, Claims: w.Claims,
		Audiences: w.Audiences, Scope: w.Scope, MaxLifetime: w.MaxLifetime.Std(), Rate: w.Rate, Approval: w.Approval,
	}
}

func wireMint(p *authority.MintPolicy) *admin.MintPolicy {
	if p == nil {
		return nil
	}
	return &admin.MintPolicy{
		Subjects: string(p.Subjects), Patterns: p.Patterns, Claims: p.Claims, Audiences: p.Audiences, Scope: p.Scope,
		MaxLifetime: admin.Duration(p.MaxLifetime), Rate: p.Rate, Approval: p.Approval,
	}
}
