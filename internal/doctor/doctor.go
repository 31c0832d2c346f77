// Package doctor looks for what keeps an authority from working well: in its
// configuration, at its database, at the services beside it and on the way from
// outside through the issuer URL. It changes nothing. Each check answers with
// findings that say what to do.
package doctor

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/config"
)

// Level says how bad a finding is.
type Level string

// Levels.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Problem Level = "problem"
)

// Finding is what a check has found.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // empty when all is well
}

// Config says what to examine.
type Config struct {
	Config config.Config
	Admin  *admin.Client    // of the running server; nil: none is known
	HTTP   *http.Client     // towards the issuer; nil: one with the system's roots
	Now    func() time.Time // default time.Now
}

// patience bounds each step over a network.
const patience = 5 * time.Second

type examination struct {
	Config
	issuer    *url.URL
	diagnosis *admin.Diagnosis // nil: no server has answered
}

// Examine runs every check and returns the findings in a fixed order.
func Examine(ctx context.Context, c Config) []Finding {
	e := &examination{Config: c}
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.HTTP == nil {
		e.HTTP = &http.Client{}
	}
	client := *e.HTTP
	client.Timeout = patience
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	e.HTTP = &client
	issuer, err := url.Parse(c.Config.Issuer)
	if err != nil {
		return []Finding{problem("configuration", "the issuer is no URL", "set issuer")}
	}
	e.issuer = issuer
	first := []Finding{{Check: "configuration", Level: OK, Found: "valid"}}
	first = append(first, e.server(ctx)...)

	checks := []func(context.Context) []Finding{
		e.sealing, e.database, e.registry, e.keys, e.deliveries, e.published, e.mail, e.zooKeeper, e.etcd, e.outside, e.management, e.way,
	}
	found := make([][]Finding, len(checks))
	var work sync.WaitGroup
	for i, check := range checks {
		work.Go(func() { found[i] = check(ctx) })
	}
	work.Wait()
	for _, f := range found {
		first = append(first, f...)
	}
	return first
}

func good(check, found string) Finding        { return Finding{check, OK, found, ""} }
func warning(check, found, do string) Finding { return Finding{check, Warning, found, do} }
func problem(check, found, do string) Finding { return Finding{check, Problem, found, do} }

// graded is a finding about a quantity that should be small.
func graded[T ~int | ~int64](check string, value, warn, bad T, found, do string) Finding {
	switch {
	case value >= bad:
		return problem(check, found, do)
	case value >= warn:
		return warning(check, found, do)
	}
	return good(check, found)
}

// server asks the running server how it is.
func (e *examination) server(ctx context.Context) []Finding {
	if e.Admin == nil {
		return []Finding{warning("server", "not asked: there is no admin token, so half of the checks are left out", "set manage.admin_token")}
	}
	d, err := e.Admin.Diagnosis(ctx)
	if err != nil {
		return []Finding{warning("server", "it does not answer at "+e.Admin.BaseURL+": "+err.Error(), "start it, or name its management listener with --manage; half of the checks need it")}
	}
	e.diagnosis = &d
	if d.NotReady != "" {
		return []Finding{problem("server", "it is not ready: "+d.NotReady, "see docs/failures.md for the cause it names")}
	}
	return []Finding{good("server", "ready")}
}

// at is the URL of a path below the issuer.
func (e *examination) at(path string) string {
	return strings.TrimSuffix(e.issuer.String(), "/") + path
}
