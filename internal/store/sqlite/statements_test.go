package sqlite

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// statements finds every constant of this package whose name starts with sql.
func statements(t *testing.T) map[string]string {
	t.Helper()
	files := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
	}
	// Imports stay unresolved: string constants do not need them.
	checked := types.Config{IgnoreFuncBodies: true, Error: func(error) {}}
	pkg, _ := checked.Check("sqlite", files, parsed, nil)
	found := map[string]string{}
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && strings.HasPrefix(name, "sql") {
			found[name] = constant.StringVal(c.Val())
		}
	}
	if len(found) < 50 {
		t.Fatalf("found only %d statements", len(found))
	}
	return found
}

func TestStatements_Prepare(t *testing.T) {
	s := openTest(t)
	for name, text := range statements(t) {
		stmt, err := s.writer.conn.PrepareContext(t.Context(), text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := stmt.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// smallTables may be read as a whole: they grow with what operators configure,
// or the statement's answer is the table.
var smallTables = map[string][]string{
	"sqlKeys":      {"keys"},
	"sqlKeyActive": {"keys"},
	"sqlResources": {"resources"},
	// A handful: one for each change of the data key that is not finished yet.
	"sqlDataKeys":           {"data_keys"},
	"sqlNewestDataKey":      {"data_keys"},
	"sqlKeysSealedBy":       {"keys"},
	"sqlWebhooksSealedBy":   {"webhook_secrets"},
	"sqlDeliveriesSealedBy": {"deliveries"}, // those that are sealed, by their index
	"sqlPolicies":           {"policies"},
	"sqlLive":               {"r", "revocations", "policies"}, // the log holds little else than live entries
	"sqlOldestLog":          {"revocations"},
	"sqlBacklog":            {"due", "tokens"}, // limited, in the order of an index
	// Once in the life of a refresh key: when it is compromised, and when all of
	// its grants should have expired.
	"sqlEndGrantsOfKey": {"grants"},
	"sqlRefreshKeyUsed": {"grants"},
	"sqlWebhooks":       {"webhooks"},
	"sqlDeliveryStats":  {"deliveries"},            // counts what is pending, by its index
	"sqlLanes":          {"lanes", "(subquery-2)"}, // the lanes that were found, one by one
	// The array of ids that was asked for.
	"sqlTokenStates": {"j"},
	"sqlVouch":       {"j"},
	// Pages in key order, limited.
	"sqlGrants": {"grants"},
}

// chosen names what the plan of a statement must hold, where a wrong choice
// among several indexes would be slow.
var chosen = map[string]string{
	"sqlIssueToken":         "grants USING PRIMARY KEY (id=?)",
	"sqlRotate":             "grants USING PRIMARY KEY (id=?)",
	"sqlGrantsOfPair":       "grants_account",
	"sqlEndGrantsOfPair":    "grants_account",
	"sqlEndGrantsOfSession": "grants_made_in",
	"sqlEndGrantsOfBrowser": "grants_made_in",
	"sqlEndGrantsMadeIn":    "grants_made_in",
	"sqlMoveSessionGrants":  "grants_made_in",
	"sqlTokenState":         "t USING PRIMARY KEY (jti=?)",
	"sqlTokenStates":        "t USING PRIMARY KEY (jti=?)",
	"sqlVouch":              "g USING PRIMARY KEY (id=?)",
	"sqlWalkTokens":         "tokens USING PRIMARY KEY (jti>? AND jti<?)",
	"sqlTouchSession":       "sessions USING PRIMARY KEY (id=?)",
	"sqlInsertCode":         "sessions USING PRIMARY KEY (id=?)",
	"sqlLanes":              "deliveries_due (lane>?)",
	"sqlClaim":              "deliveries_due (lane=? AND next_at<?)",
	"sqlDeliveriesFailed":   "deliveries_failed",
	"sqlEndedBy":            "session_clients_ended",
}

func TestStatements_UseAnIndex(t *testing.T) {
	s := openTest(t)
	for name, text := range statements(t) {
		t.Run(name, func(t *testing.T) {
			words := strings.Fields(text)
			if !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE"}, words[0]) {
				return
			}
			args := make([]any, 64)
			for len(args) > 0 && !strings.Contains(text, "?"+strconv.Itoa(len(args))) {
				args = args[:len(args)-1]
			}
			rows, err := s.reads.Query("EXPLAIN QUERY PLAN "+text, args...)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			var plan strings.Builder
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
					t.Fatal(err)
				}
				plan.WriteString(detail + "; ")
				step := strings.Fields(detail)
				if step[0] == "SCAN" && step[1] != "CONSTANT" && !slices.Contains(smallTables[name], step[1]) {
					t.Errorf("reads a whole table: %s", detail)
				}
				if strings.Contains(detail, "TEMP B-TREE") && name != "sqlKeys" && name != "sqlLive" {
					t.Errorf("sorts: %s", detail)
				}
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			if want := chosen[name]; !strings.Contains(plan.String(), want) {
				t.Errorf("got plan %q, want %s in it", plan.String(), want)
			}
		})
	}
}
