package server_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/config"
	"github.com/jetonhq/jeton/internal/pgtest"
)

// route is one that a listener serves, as the source says.
type route struct{ method, path, label string }

// routeForms find the lines that mount routes. The first group is the method or
// empty, the second the path; label is what metrics call the route.
var routeForms = []struct {
	files, form, label string
	least              int // as many must be found, or the form is out of date
}{
	{"../endpoint/*.go", `h\.route\(mux, h\.path\+"()(/[^"]*)"`, "$path", 10},
	{"../web/*.go", `h\.handle\(mux, "([A-Z]+) (/[^"]*)"`, "$method $path", 18},
	{"../endpoint/adminapi/*.go", `(?m)^\t\t"([A-Z]+) ([^"]+)":\s+h\.`, "$method /admin/v1/$path", 60},
	{"manage.go", `mux\.Handle(?:Func)?\("([A-Z]+) (/[^"]*)"`, "$method $path", 4},
}

// routes are those of the two listeners.
func routes(t *testing.T) (public, within []route) {
	t.Helper()
	for i, f := range routeForms {
		files, err := filepath.Glob(f.files)
		must(t, err)
		found := 0
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			must(t, err)
			for _, m := range regexp.MustCompile(f.form).FindAllStringSubmatch(string(source), -1) {
				found++
				r := route{m[1], m[2], strings.NewReplacer("$method", m[1], "$path", m[2]).Replace(f.label)}
				if i < 2 {
					public = append(public, r)
				} else {
					r.path = strings.TrimPrefix(r.label, r.method+" ")
					within = append(within, r)
				}
			}
		}
		if found < f.least {
			t.Fatalf("%d routes in %s, there were %d", found, f.files, f.least)
		}
	}
	return public, within
}

// caller is one of many: a browser, a client and an operator, with records of its
// own, so that none takes away what another uses.
type caller struct {
	*visitor
	n     int
	name  string
	token string
}

// work are the calls that have to succeed, with real requests, and the routes they
// are about.
func (c *caller) work() {
	c.eventually(func() bool { // a sign-in may be asked to wait for its turn
		c.open(http.MethodGet, c.authorize("web", "prompt", "consent"), "")
		if strings.Contains(c.page.body, `name="password"`) {
			c.submit("login", c.name, "password", password)
		}
		if strings.Contains(c.page.body, `value="allow"`) {
			c.submit("answer", "allow")
		}
		return strings.Contains(c.page.location, "code=")
	})
	c.remember("session cookie", c.cookie())
	where, err := url.Parse(c.page.location)
	must(c.t, err)
	c.remember("code", where.Query().Get("code"))
	first := c.redeem("web", where.Query().Get("code")).ok()
	second := c.refresh("web", first.text("refresh_token")).ok()
	c.token = second.text("access_token")
	c.wantAlive("a token", c.token)
	c.userinfo(c.token).ok()
	c.machine()
	c.post("/registry/check", "reports-api").status500()
	if status, _ := c.mintAs("minter", "", `[{},{"uses":2}]`); status != http.StatusOK {
		c.t.Errorf("mint: %d", status)
	}
	p := c.prover()
	c.askWith("machine", []string{p.token()}, "grant_type", "client_credentials").ok()
	c.feed()
	c.open(http.MethodGet, "/", "")
	c.post("/revoke", "web", "token", second.text("refresh_token")).ok()
	c.wantDead("a revoked token", c.token)
	if a := c.get(c.manage + "/readyz"); a.status != http.StatusOK {
		c.t.Errorf("not ready under load: %s", strings.TrimSpace(a.body))
	}
	c.open(http.MethodGet, "/signout", "")
	c.submit()
}

func (c *caller) eventually(done func() bool) {
	for range 200 {
		if done() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Errorf("%s did not come through: %d %s", c.name, c.page.status, c.page.body)
}

// status500 wants any other answer.
func (a answer) status500() {
	if a.status == http.StatusInternalServerError || a.status == 0 {
		a.t.Errorf("%s: %d %s", a.what, a.status, a.body)
	}
}

// feed reads the beginning of a stream, and one poll.
func (c *caller) feed() {
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	for _, path := range []string{"/revocations", "/revocations?wait=1ms"} {
		r := c.request(http.MethodGet, path, "").WithContext(ctx)
		r.SetBasicAuth("reports-api", c.keys["reports-api"])
		response, err := c.world.http.Do(r)
		if err != nil {
			c.t.Errorf("feed: %v", err)
			return
		}
		if _, err := io.ReadFull(response.Body, make([]byte, 10)); err != nil || response.StatusCode != http.StatusOK {
			c.t.Errorf("feed: %d, %v", response.StatusCode, err)
		}
		_ = response.Body.Close()
	}
}

// bodies are what calls of the admin API need to change something; others get {}.
// NAME is the caller's own.
var bodies = map[string]string{
	"POST /admin/v1/accounts":            `{"login":"new-NAME","name":"New"}`,
	"PATCH /admin/v1/accounts/{account}": `{"name":"Another"}`,
	"POST /admin/v1/clients":             `{"id":"client-NAME","grant_types":["client_credentials"],"scope":["read"],"audience":"https://api.example.com"}`,
	"PUT /admin/v1/resources/{audience}": `{"audience":"https://NAME.example.com","scope":["read"]}`,
	"PUT /admin/v1/policies/{name}":      `{"name":"NAME","audience":"https://api.example.com","pattern":"/NAME","scope":["read"]}`,
	"PUT /admin/v1/webhooks/{name}":      `{"name":"NAME","url":"https://hooks.example.com/NAME","events":["consent_given"]}`,
	"POST /admin/v1/tokens/explain":      `{"token":"TOKEN"}`,
	"POST /admin/v1/tokens/revoke":       `{"token":"TOKEN"}`,
	"PUT /admin/v1/rings/{ring}":         `{}`,
}

// rare are calls that few make: they change what all share.
var rare = regexp.MustCompile(`/(rings|sealing|keys|backup|diagnosis|apply)`)

// ask sends a request to a route as the caller has it.
func (c *caller) ask(to route, origin, bearer string) {
	path := strings.NewReplacer(
		"{account}", c.name, "{client}", "web", "{audience}", "https:%2F%2F"+c.name+".example.com", "{name}", c.name,
		"{ring}", "access", "{$}", "",
	).Replace(to.path)
	path = strings.ReplaceAll(path, "clients/{id}", "clients/client-"+c.name)
	path = strings.ReplaceAll(path, "{id}", c.parts.Keys.Usable(authority.RingAccess)[0].ID())
	if to.path == "/revocations" {
		path += "?wait=1ms"
	}
	method := to.method
	if method == "" {
		method = http.MethodPost
	}
	body := ""
	if bearer != "" {
		body = "{}"
		if given, ok := bodies[to.label]; ok {
			body = strings.NewReplacer("NAME", c.name, "TOKEN", c.token).Replace(given)
		}
	}
	r := c.request(method, origin+path, body)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	for _, cookie := range c.http.Jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	c.do(r).status500()
}

// stumble has statements that change something fail now and then, in the two ways in which
// PostgreSQL tells a transaction that it was not alone.
const stumble = `
CREATE SEQUENCE statements;
CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CASE nextval('statements') % 61
    WHEN 1 THEN RAISE EXCEPTION 'provoked' USING ERRCODE = '40001';
    WHEN 24 THEN RAISE EXCEPTION 'provoked' USING ERRCODE = '40P01';
    ELSE RETURN NULL;
    END CASE;
END $$;
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
            AND relname <> 'goose_db_version' LOOP
        EXECUTE format('CREATE TRIGGER stumble BEFORE INSERT OR UPDATE OR DELETE ON %I FOR EACH STATEMENT EXECUTE FUNCTION stumble()', name);
    END LOOP;
END $$`

// TestNodes_NothingStalls: 64 callers of a node with two connections to its
// database use every route there is, while statements fail as they do when
// transactions meet. All get their answers, and none is a 500.
func TestNodes_NothingStalls(t *testing.T) {
	database := pgtest.Database(t)
	w := newWorld(t, onPostgres(database, func(c *config.Config) {
		c.Store.MaxConnections = 2
		c.Feed.Heartbeat = config.Default().Feed.Heartbeat // four of them are what /readyz bears
	}))
	w.minter("minter", authority.MintPolicy{Subjects: authority.MintOwn, Scope: []string{"read"}})
	public, within := routes(t)
	everyone := make([]*caller, 64)
	for n := range everyone {
		everyone[n] = &caller{visitor: w.visitor(), n: n, name: fmt.Sprint("caller", n)}
		w.account(everyone[n].name, "Caller")
	}
	admin, err := pgx.Connect(t.Context(), database)
	must(t, err)
	_, err = admin.PgConn().Exec(t.Context(), stumble).ReadAll()
	must(t, err)

	var work sync.WaitGroup
	for _, c := range everyone {
		work.Go(func() {
			c.work()
			for i, r := range public {
				if i%4 == c.n%4 {
					c.ask(r, w.issuer, "")
				}
			}
			for i, r := range within {
				if i%4 == c.n%4 && (c.n < 8 || !rare.MatchString(r.path)) {
					c.ask(r, w.manage, w.admin)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(120 * time.Second):
		t.Fatal("callers of a node with two connections wait for each other")
	}
	var provoked int
	must(t, admin.QueryRow(t.Context(), `SELECT last_value * 2 / 61 FROM statements`).Scan(&provoked))
	must(t, admin.Close(t.Context()))
	answers, total := served(w), map[string]int{}
	for _, r := range slices.Concat(public, within) {
		good := 0
		for status, n := range answers[r.label] {
			total[status] += n
			if status == "500" {
				t.Errorf("%s: %d answers are 500", r.label, n)
			}
			if status < "500" {
				good += n
			}
		}
		if good == 0 {
			t.Errorf("%s: %v", r.label, answers[r.label])
		}
	}
	t.Logf("%d routes, answers by status: %v; about %d statements were refused", len(answers), total, provoked)
}

var requestsLine = regexp.MustCompile(`(?m)^jeton_http_requests_total\{route="([^"]*)",status="(\d+)"\} (\d+)`)

// served are the answers of a node by route and status.
func served(w *world) map[string]map[string]int {
	found := map[string]map[string]int{}
	for _, m := range requestsLine.FindAllStringSubmatch(w.get(w.manage+"/metrics").body, -1) {
		if found[m[1]] == nil {
			found[m[1]] = map[string]int{}
		}
		var n int
		_, _ = fmt.Sscan(m[3], &n)
		found[m[1]][m[2]] = n
	}
	return found
}
