package transfer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Table is what both engines share of a table.
type Table struct {
	Name string
	// Columns begin with the primary key, which gives rows their order.
	Columns []string
	Keys    int
	// Flags are columns that are true or false where there is a type for it.
	Flags []string
	// Single is a table with exactly one row, which a new database has too.
	Single bool
}

func (t Table) key(r Row) Row { return r[:t.Keys] }

// Key is the columns of the primary key.
func (t Table) Key() []string { return t.Columns[:t.Keys] }

// Flag reports whether a column is true or false.
func (t Table) Flag(column string) bool { return slices.Contains(t.Flags, column) }

// table reads the columns of a table from two lists. A question mark marks a flag.
func table(name, key, rest string) Table {
	t := Table{Name: name, Keys: len(strings.Fields(key))}
	for _, column := range strings.Fields(key + " " + rest) {
		column, flag := strings.CutSuffix(column, "?")
		if t.Columns = append(t.Columns, column); flag {
			t.Flags = append(t.Flags, column)
		}
	}
	return t
}

func single(name, key, rest string) Table {
	t := table(name, key, rest)
	t.Single = true
	return t
}

// Tables is everything that is copied. A test of each engine holds it against the
// schema: a table or column that is added belongs here, or into Apart.
var Tables = []Table{
	single("meta", "id", "incarnation seq network_key network_key_sealed"),
	table("accounts", "id", "login name email email_verified? password_hash disabled? version created_at updated_at"),
	table("clients", "id", `
		name auth_method secrets grant_types redirect_uris post_logout_redirect_uris scope audience
		first_party? native? without_pkce? id_token_alg access_lifetime refresh_idle refresh_absolute
		refresh_policy revoke_shared? mint dpop_bound? ip ip_refresh? backchannel_logout_uri
		backchannel_logout_session_required? disabled? version created_at updated_at`),
	table("resources", "audience", "client_id name scope ring created_at"),
	table("sessions", "id", `
		account_id digest auth_time amr acr created_at last_seen idle_until expires_at first_network
		first_agent last_network last_agent ended_at end_reason sweep_at`),
	table("session_clients", "session_id client_id told", "ended_by"),
	table("account_marks", "account_id mark", "until"),
	table("consents", "account_id client_id", "scope created_at updated_at"),
	table("codes", "id", `
		digest client_id account_id session_id redirect_uri challenge scope audience nonce auth_time acr amr
		network agent created_at expires_at grant_id dpop_jkt`),
	table("grants", "id", `
		ended_at expires_at idle_until generation type client_id account_id session_id made_in scope
		audience auth_time acr amr nonce has_refresh? salt refresh_key policy rotated_at steps replays
		replay_generation stale? first_network first_agent last_network last_agent created_at last_used
		end_reason end_code dpop_jkt sweep_at`),
	table("tokens", "jti", "digest gid exp uses"),
	table("uses", "jti request", ""),
	table("mint_batches", "client_id key", "digest answer expires_at"),
	table("mint_requests", "id", "client_id requested_by reason body state decided_by created_at expires_at"),
	table("tickets", "kind key", "value expires_at"),
	table("revocations", "seq", "kind target key_id name data reason at until"),
	table("policies", "name", "audience data seq version created_at updated_at"),
	table("keys", "ring id", "slot algorithm state public sealed created_at changed_at due_at"),
	table("key_rings", "ring", "version"),
	table("data_keys", "id", "master wrapped created_at wrapped_at"),
	table("events", "id", `
		type actor_kind actor_id account_id client_id session_id grant_id token_id network agent reason data`),
	table("event_log", "seq", "event_id"),
	single("outbox", "id", "seq cursor"),
	table("deliveries", "id", `
		channel target lane event_id event_type body body_sealed state attempts next_at give_up_at claim
		last_error created_at done_at keep_until`),
	table("webhooks", "name", "url events allow_private? disabled? version created_at updated_at"),
	table("webhook_secrets", "id", "webhook sealed created_at expires_at"),
}

// Apart are the tables and columns that stay behind, and why.
var Apart = map[string]string{
	"transfer":         "says of this database whether it is a copy",
	"goose_db_version": "the migrations of this database",
	"compatible":       "the same",
	"leases":           "which node looks after what: nodes that run",
	"notes":            "what they tell each other",
	"readiness":        "when a node last showed that it can write",
	"meta.ready_at":    "the same",
	"event_log.id":     "the order in which PostgreSQL numbers events; a copy has them numbered",
}

// Forgotten holds a schema, the columns of each table and how many are its key,
// against Tables and Apart, and says what does not fit. Computed are columns that are
// read from elsewhere.
func Forgotten(schema map[string][]string, keys map[string]int, computed map[string]string) (problems []string) {
	schema = maps.Clone(schema)
	for _, t := range Tables {
		for _, column := range t.Columns {
			if computed[t.Name+"."+column] == "" && !slices.Contains(schema[t.Name], column) {
				problems = append(problems, fmt.Sprintf("%s.%s is to be copied and not in the schema", t.Name, column))
			}
		}
		for _, column := range schema[t.Name] {
			if !slices.Contains(t.Columns, column) && Apart[t.Name+"."+column] == "" {
				problems = append(problems, fmt.Sprintf("%s.%s is in the schema and not copied", t.Name, column))
			}
		}
		if keys[t.Name] != t.Keys {
			problems = append(problems, fmt.Sprintf("the key of %s has %d columns, and rows are ordered by %d", t.Name, keys[t.Name], t.Keys))
		}
		delete(schema, t.Name)
	}
	for name := range schema {
		if Apart[name] == "" {
			problems = append(problems, name+" is in the schema and not copied")
		}
	}
	return problems
}
