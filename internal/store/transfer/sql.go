package transfer

import (
	"strconv"
	"strings"
)

// Dialect is how an engine is spoken to.
type Dialect struct {
	Param string // before a parameter's number: "?" or "$"
	// Instead says what to read for a column, by "table.column", where it is not the
	// column itself.
	Instead map[string]string
}

// Statements about the mark. They are the same for both engines, and none has
// parameters but WriteMark.
const (
	SelectMark    = `SELECT state, copy, peer, at FROM transfer WHERE id = 1`
	RemoveMark    = `DELETE FROM transfer WHERE id = 1`
	RemoveRetired = `DELETE FROM transfer WHERE id = 1 AND state = '` + Retired + `'`
)

// Select reads a table in the order of its key: everything, or what comes after a
// key, which is its parameters.
func (d Dialect) Select(t Table, after bool, limit int) string {
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, column := range t.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		if instead, ok := d.Instead[t.Name+"."+column]; ok {
			column = instead
		}
		b.WriteString(column)
	}
	b.WriteString(" FROM " + t.Name)
	key := strings.Join(t.Key(), ", ")
	if after {
		b.WriteString(" WHERE (" + key + ") > (" + d.params(t.Keys) + ")")
	}
	b.WriteString(" ORDER BY " + key + " LIMIT " + strconv.Itoa(limit))
	return b.String()
}

// Last reads the key of a table's last row.
func (d Dialect) Last(t Table) string {
	return "SELECT " + strings.Join(t.Key(), ", ") + " FROM " + t.Name +
		" ORDER BY " + strings.Join(t.Key(), " DESC, ") + " DESC LIMIT 1"
}

// Insert writes a row.
func (d Dialect) Insert(t Table) string {
	return "INSERT INTO " + t.Name + " (" + strings.Join(t.Columns, ", ") + ") VALUES (" + d.params(len(t.Columns)) + ")"
}

// Update replaces the row of a table that has just one, without what Instead has.
func (d Dialect) Update(t Table) string {
	var b strings.Builder
	b.WriteString("UPDATE " + t.Name + " SET ")
	first := true
	for i, column := range t.Columns {
		if _, instead := d.Instead[t.Name+"."+column]; instead || i < t.Keys {
			continue
		}
		if !first {
			b.WriteString(", ")
		}
		first = false
		b.WriteString(column + " = " + d.Param + strconv.Itoa(i+1))
	}
	b.WriteString(" WHERE " + t.Columns[0] + " = " + d.Param + "1")
	return b.String()
}

// WriteMark writes the mark: state, copy, peer and time are its parameters.
func (d Dialect) WriteMark() string {
	return `INSERT INTO transfer (id, state, copy, peer, at) VALUES (1, ` + d.params(4) + `)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, copy = excluded.copy, peer = excluded.peer, at = excluded.at`
}

func (d Dialect) params(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = d.Param + strconv.Itoa(i+1)
	}
	return strings.Join(list, ", ")
}
