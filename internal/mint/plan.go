package mint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/clients"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/tokens"
	"github.com/jetonhq/jeton/oauth"
)

// plan is what is to be made of a batch.
type plan struct {
	results      []oauth.MintResult // one for each request; those at at are still empty
	mints        []tokens.Mint
	at           []int // the request that each of mints is for
	grants       []*personGrant
	codes        map[oauth.MintCode]int
	firstRefused string // whom the first refused subject names
	approvedBy   string
	err          error // nothing can be decided
}

// personGrant is the grant of one person's tokens in the batch.
type personGrant struct {
	authority.Grant
	reason string
	tokens int
}

// planner holds a batch against the policy of its client.
type planner struct {
	s        *Service
	client   authority.Client
	policy   authority.MintPolicy
	context  authority.Context
	now      time.Time
	accounts map[string]found
}

// found is what is known of a subject: the account, and the session that allows it.
type found struct {
	account authority.Account
	session secret.ID
	ok      bool
}

func (s *Service) plan(ctx context.Context, client authority.Client, b Batch, pay bool) *plan {
	p := &plan{results: make([]oauth.MintResult, len(b.Items)), codes: make(map[oauth.MintCode]int)}
	pl := &planner{s: s, client: client, policy: *client.Mint, context: b.Context, now: s.cfg.Now(), accounts: make(map[string]found)}
	refuse := func(i int, code oauth.MintCode) {
		p.results[i].Error = code
		p.codes[code]++
	}
	for i, raw := range b.Items {
		item, code := decode(raw)
		if code == "" {
			var m tokens.Mint
			m, code, p.err = pl.decide(ctx, p, item)
			if p.err != nil {
				return p
			}
			if code == "" {
				p.mints, p.at = append(p.mints, m), append(p.at, i)
				continue
			}
			if code == oauth.MintSubjectNotAllowed && p.firstRefused == "" {
				p.firstRefused = named(item)
			}
		}
		refuse(i, code)
	}
	allowed := len(p.mints)
	if pay {
		allowed = s.rates.take(client.ID, rate(pl.policy), len(p.mints), pl.now)
	}
	for _, at := range p.at[allowed:] {
		refuse(at, oauth.MintRateLimited)
	}
	p.mints, p.at = p.mints[:allowed], p.at[:allowed]
	p.settle()
	return p
}

// settle gives each grant the scope and the end of its tokens. A grant none of
// whose tokens is left goes.
func (p *plan) settle() {
	byID := make(map[secret.ID]*personGrant, len(p.grants))
	for _, g := range p.grants {
		byID[g.ID] = g
	}
	for _, m := range p.mints {
		if g := byID[m.Grant.ID]; g != nil {
			g.tokens++
			g.Scope = oauth.Scope(g.Scope).Union(m.Scope)
			if end := g.CreatedAt.Add(m.Lifetime + time.Second); end.After(g.ExpiresAt) {
				g.ExpiresAt, g.IdleUntil = end, end
			}
		}
	}
	p.grants = slices.DeleteFunc(p.grants, func(g *personGrant) bool { return g.tokens == 0 })
}

// people are the grants to store.
func (p *plan) people() []authority.Grant {
	grants := make([]authority.Grant, len(p.grants))
	for i, g := range p.grants {
		grants[i] = g.Grant
	}
	return grants
}

// nothing is the answer when none is minted.
func (p *plan) nothing(atomic bool) oauth.MintResponse {
	if atomic {
		for _, at := range p.at {
			p.results[at].Error = oauth.MintNotMinted
		}
	}
	return oauth.MintResponse{Results: p.results}
}

func decode(raw json.RawMessage) (item oauth.MintRequest, code oauth.MintCode) {
	if len(raw) > maxItem {
		return item, oauth.MintTooLarge
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&item); err != nil {
		return item, oauth.MintMalformed
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return item, oauth.MintMalformed
	}
	return item, ""
}

// named is whom a request names, for the audit trail.
func named(item oauth.MintRequest) string {
	text := item.Subject
	if text == "" {
		text = item.Login
	}
	if len(text) > 100 {
		text = text[:100]
	}
	return strings.ToValidUTF8(text, "?")
}

// decide holds one request against the policy. What is not a refusal is an error.
func (pl *planner) decide(ctx context.Context, p *plan, item oauth.MintRequest) (m tokens.Mint, code oauth.MintCode, err error) {
	m.Narrow = tokens.Restriction{URL: item.URL, HashURL: item.URLHash != "", Method: item.Method, Uses: item.Uses}
	if m.Narrow.Problem() != "" || item.URLHash != "" && item.URLHash != "S256" {
		return m, oauth.MintBadRestriction, nil
	}
	person, code, err := pl.subject(ctx, item, &m)
	if code != "" || err != nil {
		return m, code, err
	}
	if m.Claims, code = pl.claims(item.Claims); code != "" {
		return m, code, nil
	}
	if m.Audience, code = pl.audience(item.Audience); code != "" {
		return m, code, nil
	}
	if m.Scope, code = pl.scope(item.Scope, person.ok); code != "" {
		return m, code, nil
	}
	if m.Lifetime, code = pl.lifetime(item.Lifetime); code != "" {
		return m, code, nil
	}
	if !person.ok {
		return m, "", nil
	}
	if m.Reason = item.Reason; !readable(m.Reason) {
		return m, oauth.MintReasonMissing, nil
	}
	m.Grant = pl.grant(p, person, m)
	return m, "", nil
}

// readable reports whether a reason says something that can be shown.
func readable(reason string) bool {
	return strings.TrimSpace(reason) != "" && len(reason) <= 200 && utf8.ValidString(reason) && !strings.ContainsFunc(reason, unicode.IsControl)
}

// subject finds out for whom a token is to be, and whether it may be. An account
// that does not exist is refused like one that is not allowed: minting is no way
// to find out who has one.
func (pl *planner) subject(ctx context.Context, item oauth.MintRequest, m *tokens.Mint) (person found, code oauth.MintCode, err error) {
	m.Subject = item.Subject
	switch service, isService := strings.CutPrefix(item.Subject, pl.client.ID+":"); {
	case item.Subject != "" && item.Login != "":
		return person, oauth.MintSubjectNotAllowed, nil
	case item.Login == "" && (item.Subject == "" || item.Subject == pl.client.ID):
		m.Subject = pl.client.ID
		return person, "", nil
	case isService:
		if pl.policy.Subjects == authority.MintNone || !serviceName(service) {
			return person, oauth.MintSubjectNotAllowed, nil
		}
		return person, "", nil
	case pl.policy.Subjects != authority.MintPattern && pl.policy.Subjects != authority.MintSession:
		return person, oauth.MintSubjectNotAllowed, nil
	}
	key := item.Subject + " " + item.Login
	person, known := pl.accounts[key]
	if !known {
		if person, err = pl.find(ctx, item); err != nil {
			return person, "", err
		}
		pl.accounts[key] = person
	}
	if !person.ok {
		return person, oauth.MintSubjectNotAllowed, nil
	}
	return person, "", nil
}

// serviceName reports whether a service account may be called so.
func serviceName(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-") == ""
}

// find looks for the account of a request that names a person, and for what
// allows the client to act for them.
func (pl *planner) find(ctx context.Context, item oauth.MintRequest) (f found, err error) {
	if item.Login != "" {
		f.account, err = pl.s.cfg.Store.AccountByLogin(ctx, item.Login)
	} else {
		id, parseErr := secret.ParseID(item.Subject)
		if parseErr != nil {
			return f, nil //nolint:nilerr // another client's id, for one, is nobody's account
		}
		f.account, err = pl.s.cfg.Store.Account(ctx, id)
	}
	switch {
	case errors.Is(err, authority.ErrNotFound):
		return found{}, nil
	case err != nil:
		return found{}, fmt.Errorf("mint: subject: %w", err)
	case f.account.Disabled:
		return found{}, nil
	}
	matches := func(pattern string) bool { ok, _ := path.Match(pattern, f.account.Login); return ok }
	if len(pl.policy.Patterns) > 0 || pl.policy.Subjects == authority.MintPattern {
		if !slices.ContainsFunc(pl.policy.Patterns, matches) {
			return found{}, nil
		}
	}
	if pl.policy.Subjects == authority.MintPattern {
		f.ok = true
		return f, nil
	}
	sessions, err := pl.s.cfg.Store.Sessions(ctx, f.account.ID, authority.Page{Limit: 1000})
	if err != nil {
		return found{}, fmt.Errorf("mint: sessions of the subject: %w", err)
	}
	for _, session := range slices.Backward(sessions) { // the newest that lives
		if session.Live(pl.now) {
			f.session, f.ok = session.ID, true
			break
		}
	}
	return f, nil
}

func (pl *planner) claims(given map[string]json.RawMessage) (map[string]any, oauth.MintCode) {
	if len(given) == 0 {
		return nil, ""
	}
	claims := make(map[string]any, len(given))
	for name, value := range given {
		switch {
		case clients.ReservedClaim(name):
			return nil, oauth.MintClaimReserved
		case !slices.Contains(pl.policy.Claims, name):
			return nil, oauth.MintClaimNotAllowed
		}
		claims[name] = value
	}
	return claims, ""
}

func (pl *planner) audience(given string) (string, oauth.MintCode) {
	allowed := pl.policy.Audiences
	if len(allowed) == 0 {
		allowed = []string{pl.s.cfg.Audience(pl.client)}
	}
	switch {
	case given == "":
		return allowed[0], ""
	case slices.Contains(allowed, given):
		return given, ""
	}
	return "", oauth.MintAudienceNotAllowed
}

// scope is the requested one. There is no refresh here, so offline_access is
// never among what may be asked for; scopes about a person are for people only.
func (pl *planner) scope(given string, person bool) (oauth.Scope, oauth.MintCode) {
	allowed := oauth.Scope(pl.policy.Scope)
	if len(allowed) == 0 {
		allowed = pl.client.Scope
	}
	allowed = allowed.Without(oauth.ScopeOfflineAccess)
	if !person {
		for _, personal := range []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail} {
			allowed = allowed.Without(personal)
		}
	}
	if given == "" {
		if person {
			return nil, "" // what somebody does in another's name is said, scope by scope
		}
		return allowed, ""
	}
	want, ok := oauth.ParseScope(given)
	if !ok || !want.Within(allowed) {
		return nil, oauth.MintScopeNotAllowed
	}
	return want, ""
}

func (pl *planner) lifetime(seconds int64) (time.Duration, oauth.MintCode) {
	longest := pl.policy.MaxLifetime
	if longest == 0 {
		longest = defaultLifetime
	}
	longest = min(longest, pl.s.cfg.MaxLifetime)
	switch {
	case seconds < 0 || seconds > int64(longest/time.Second):
		return 0, oauth.MintLifetimeTooLong
	case seconds == 0:
		return longest, ""
	}
	return time.Duration(seconds) * time.Second, ""
}

// grant is the one that the person's tokens for an audience and a reason belong to.
func (pl *planner) grant(p *plan, person found, m tokens.Mint) authority.Grant {
	for _, g := range p.grants {
		if g.AccountID == person.account.ID && g.Audience[0] == m.Audience && g.reason == m.Reason {
			return g.Grant
		}
	}
	g := pl.s.cfg.Tokens.MintGrant(pl.client, person.account.ID, person.session, pl.context)
	g.Audience = []string{m.Audience}
	p.grants = append(p.grants, &personGrant{Grant: g, reason: m.Reason})
	return g
}
