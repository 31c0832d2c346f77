package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/policies"
	"github.com/jetonhq/jeton/internal/policy"
	"github.com/jetonhq/jeton/internal/secret"
)

// policies come after the resources they are about.
func (p *plan) policies(ctx context.Context, d admin.Document) error {
	for _, declared := range d.Policies {
		action, old := admin.Update, admin.PolicySpec{Name: declared.Name}
		switch found, err := p.service.Policies.Get(ctx, declared.Name); {
		case errors.Is(err, authority.ErrNotFound):
			action = admin.Create
		case err != nil:
			return err
		default:
			old = WirePolicy(found).PolicySpec
		}
		fields := differences(old, declared)
		if action == admin.Update && len(fields) == 0 {
			p.add(admin.Keep, "policy", declared.Name, nil, nil)
			continue
		}
		p.add(action, "policy", declared.Name, fields, func(ctx context.Context) (secret.Value, error) {
			_, err := p.service.Policies.Put(ctx, p.actor, declared.Name, Policy(declared), p.reason)
			return secret.Value{}, err
		})
	}
	return nil
}

// prunePolicies deletes those that are not named, if any are.
func (p *plan) prunePolicies(ctx context.Context, d admin.Document) error {
	if !d.Prune || len(d.Policies) == 0 {
		return nil
	}
	there, err := p.service.Policies.List(ctx, "")
	if err != nil {
		return err
	}
	for _, found := range there {
		if slices.ContainsFunc(d.Policies, func(declared admin.PolicySpec) bool { return declared.Name == found.Name }) {
			continue
		}
		p.add(admin.Delete, "policy", found.Name, nil, func(ctx context.Context) (secret.Value, error) {
			return secret.Value{}, p.service.Policies.Delete(ctx, p.actor, found.Name, p.reason)
		})
	}
	return nil
}

// Policy translates a spec of the admin API.
func Policy(w admin.PolicySpec) policy.Policy {
	return policy.Policy{
		Audience: w.Audience, Method: w.Method, Pattern: w.Pattern,
		Demands: policy.Demands{
			MaxAge: (*policy.Span)(w.MaxAge), Scope: w.Scope, Clients: w.Clients,
			AuthAge: (*policy.Span)(w.AuthAge), ACR: w.ACR, FreshClaims: w.FreshClaims, SingleUse: w.SingleUse,
			DPoP: w.DPoP, NoCookie: w.NoCookie, Registry: w.Registry, Network: w.Network, Fail: w.Fail, MaxStaleness: (*policy.Span)(w.MaxStaleness),
		},
	}
}

// WireDemands is what the admin API shows of demands.
func WireDemands(d policy.Demands) admin.PolicySpec {
	return admin.PolicySpec{
		MaxAge: (*admin.Duration)(d.MaxAge), Scope: d.Scope, Clients: d.Clients,
		AuthAge: (*admin.Duration)(d.AuthAge), ACR: d.ACR, FreshClaims: d.FreshClaims, SingleUse: d.SingleUse,
		DPoP: d.DPoP, NoCookie: d.NoCookie, Registry: d.Registry, Network: d.Network, Fail: d.Fail, MaxStaleness: (*admin.Duration)(d.MaxStaleness),
	}
}

// WirePolicy is what the admin API shows of a policy.
func WirePolicy(p policies.Policy) admin.Policy {
	spec := WireDemands(p.Demands)
	spec.Name, spec.Audience, spec.Method, spec.Pattern = p.Name, p.Audience, p.Method, p.Pattern
	return admin.Policy{PolicySpec: spec, Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
}
