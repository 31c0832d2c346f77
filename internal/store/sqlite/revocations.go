package sqlite

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/store/columns"
)

const (
	endGrants = `
UPDATE grants SET ended_at = ?2, end_reason = ?3, sweep_at = min(sweep_at, ?4), end_code = ?5
WHERE ended_at IS NULL AND `

	sqlEndGrant           = endGrants + `id = ?1 RETURNING id`
	sqlEndGrantsOfSession = endGrants + `made_in = ?1 AND session_id = ?1 RETURNING id`
	sqlEndGrantsOfAccount = endGrants + `account_id = ?1 AND (?6 IS NULL OR session_id IS NOT ?6) RETURNING id`
	sqlEndGrantsOfClient  = endGrants + `client_id = ?1 RETURNING id`
	// The plus keeps the engine from walking all grants of a popular client.
	sqlEndGrantsOfPair = endGrants + `account_id = ?1 AND +client_id = ?6 RETURNING id`
	// Grants of public clients made in a session, by the account whose session it is.
	sqlEndGrantsOfBrowser = endGrants + `made_in = ?1
AND account_id = (SELECT account_id FROM sessions WHERE id = ?1)
AND EXISTS (SELECT 1 FROM clients WHERE clients.id = grants.client_id AND auth_method = 'none') RETURNING id`

	sqlEndGrantsMadeIn = endGrants + `made_in = ?1
AND account_id = (SELECT account_id FROM sessions WHERE id = ?1) RETURNING id`

	sqlEndSession = `
UPDATE sessions SET ended_at = ?2, end_reason = ?3, sweep_at = min(sweep_at, ?4)
WHERE ended_at IS NULL AND id = ?1 RETURNING id`
	sqlLiveSessions = `
SELECT id FROM sessions WHERE account_id = ?1 AND ended_at IS NULL AND (?2 IS NULL OR id <> ?2) ORDER BY id`

	logColumns   = `seq, kind, target, key_id, reason, at, until, name, data`
	sqlNextSeq   = `UPDATE meta SET seq = seq + 1 WHERE id = 1 RETURNING seq`
	sqlAppendLog = `INSERT INTO revocations (` + logColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`
	sqlLog       = `SELECT ` + logColumns + ` FROM revocations WHERE seq > ?1 ORDER BY seq LIMIT ?2`
	sqlHead      = `SELECT incarnation, seq FROM meta WHERE id = 1`
	sqlRevoked   = `
SELECT ` + logColumns + ` FROM revocations WHERE target = ?1 AND kind = ?2 ORDER BY seq LIMIT 1`
	// One statement, so that the number and the entries are of one moment. When
	// nothing is live there is one row, with the number alone. Policies come from
	// their own table: what the log has of them is history.
	sqlLive = `
SELECT m.seq, r.seq, r.kind, r.target, r.key_id, r.reason, r.at, r.until, r.name, r.data
FROM meta m LEFT JOIN (
    SELECT ` + logColumns + ` FROM revocations WHERE until > ?1 AND kind <> 'policy'
    UNION ALL
    SELECT seq, 'policy', NULL, '', '', updated_at, NULL, name, data FROM policies
) r ON true
WHERE m.id = 1 ORDER BY r.seq`
)

var errTarget = errors.New("a revocation has exactly one target")

// Revoke implements authority.RevocationStore. Codes that an ended session,
// consent or client left behind cannot be redeemed.
func (s *Store) Revoke(ctx context.Context, r authority.Revocation) ([]authority.LogEntry, error) {
	if targets(r) != 1 {
		return nil, errTarget
	}
	var entries []authority.LogEntry
	err := s.write(ctx, "revoke", func(t *tx) error {
		e := ending{tx: t, r: r}
		if err := e.run(); err != nil {
			return err
		}
		entries = e.entries
		if t.changed == 0 {
			return nil
		}
		return insertEvent(t, r.Event)
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func targets(r authority.Revocation) int {
	n := 0
	for _, set := range []bool{
		r.Token != nil, !r.Grant.IsZero(), !r.Session.IsZero(), !r.Account.IsZero(), r.Client != "", r.Consent != nil,
	} {
		if set {
			n++
		}
	}
	return n
}

// ending is one revocation on its way through a transaction.
type ending struct {
	tx      *tx
	r       authority.Revocation
	entries []authority.LogEntry
}

func (e *ending) run() error {
	if e.r.Update != nil {
		if err := updateAccount(e.tx, *e.r.Update); err != nil {
			return err
		}
	}
	if e.r.UpdateClient != nil {
		if err := updateClient(e.tx, *e.r.UpdateClient); err != nil {
			return err
		}
	}
	switch {
	case e.r.Token != nil:
		return e.token()
	case !e.r.Grant.IsZero():
		return e.grants(sqlEndGrant, e.r.Grant[:])
	case !e.r.Session.IsZero():
		return e.session()
	case !e.r.Account.IsZero():
		return e.account()
	case e.r.Client != "":
		return e.client()
	default:
		return e.consent()
	}
}

// token removes the registry row. One that has expired is dead already.
func (e *ending) token() error {
	if e.r.Token.Elsewhere {
		_, err := oneOf(e.tx, scanEntry, sqlRevoked, e.r.Token.ID[:], string(authority.KindToken))
		if !errors.Is(err, authority.ErrNotFound) {
			return err
		}
		return e.append(authority.KindToken, e.r.Token.ID)
	}
	n, err := e.tx.exec(sqlDeleteToken, e.r.Token.ID[:], columns.Millis(e.r.Now))
	if err != nil || n == 0 {
		return err
	}
	if _, err := e.tx.exec(sqlDeleteUses, e.r.Token.ID[:]); err != nil {
		return err
	}
	return e.append(authority.KindToken, e.r.Token.ID)
}

func (e *ending) session() error {
	if err := e.endSession(e.r.Session); err != nil {
		return err
	}
	switch {
	case e.r.MadeIn:
		return e.grants(sqlEndGrantsMadeIn, e.r.Session[:])
	case e.r.BrowserAll:
		return e.grants(sqlEndGrantsOfBrowser, e.r.Session[:])
	}
	return nil
}

// endSession ends a session and, also when it has ended or gone before, the
// grants that belong to it.
func (e *ending) endSession(id secret.ID) error {
	ended, err := e.tx.ids(sqlEndSession, id[:], columns.Millis(e.r.Now), e.r.Reason, columns.Millis(e.r.Now.Add(columns.KeepEnded)))
	if err != nil {
		return err
	}
	for _, id := range ended {
		if err := e.append(authority.KindSession, id); err != nil {
			return err
		}
	}
	if _, err := e.tx.exec(sqlEndTold, id[:], e.r.Event.ID[:]); err != nil {
		return err
	}
	return e.grants(sqlEndGrantsOfSession, id[:])
}

func (e *ending) account() error {
	sessions, err := manyOf(e.tx, scanID, sqlLiveSessions, e.r.Account[:], columns.Blob(e.r.ExceptSession))
	if err != nil {
		return err
	}
	for _, id := range sessions {
		if err := e.endSession(id); err != nil {
			return err
		}
	}
	return e.grants(sqlEndGrantsOfAccount, e.r.Account[:], columns.Blob(e.r.ExceptSession))
}

func (e *ending) client() error {
	if err := e.grants(sqlEndGrantsOfClient, e.r.Client); err != nil {
		return err
	}
	if _, err := e.tx.exec(sqlDropCodesOfClient, e.r.Client); err != nil || !e.r.DeleteClient {
		return err
	}
	for _, text := range []string{sqlDeleteClientCodes, sqlDeleteClientConsents, sqlDeleteClient} {
		if _, err := e.tx.exec(text, e.r.Client); err != nil {
			return err
		}
	}
	return nil
}

func (e *ending) consent() error {
	account, client := e.r.Consent.AccountID, e.r.Consent.ClientID
	if _, err := e.tx.exec(sqlDeleteConsent, account[:], client); err != nil {
		return err
	}
	if _, err := e.tx.exec(sqlDropCodesOfPair, client, account[:]); err != nil {
		return err
	}
	return e.grants(sqlEndGrantsOfPair, account[:], client)
}

// grants ends the live grants that the statement picks and logs each.
func (e *ending) grants(text string, target any, more ...any) error {
	args := append([]any{target, columns.Millis(e.r.Now), e.r.Reason, columns.Millis(e.r.Now.Add(columns.KeepEnded)), e.r.EndCode()}, more...)
	ended, err := e.tx.ids(text, args...)
	if err != nil {
		return err
	}
	slices.SortFunc(ended, secret.ID.Compare)
	for _, id := range ended {
		e.tx.changedGrant(id, nil)
		if err := e.append(authority.KindGrant, id); err != nil {
			return err
		}
	}
	return nil
}

func (e *ending) append(kind authority.Kind, id secret.ID) error {
	return e.appendEntry(authority.LogEntry{Kind: kind, ID: id, Reason: e.r.Reason, At: e.r.Now, Until: e.r.Until})
}

func (e *ending) appendEntry(entry authority.LogEntry) error {
	if err := appendLog(e.tx, &entry); err != nil {
		return err
	}
	e.entries = append(e.entries, entry)
	return nil
}

// appendLog gives the entry its number and adds it to the log.
func appendLog(t *tx, entry *authority.LogEntry) error {
	if err := t.row(sqlNextSeq, nil, &entry.Seq); err != nil {
		return err
	}
	_, err := t.exec(sqlAppendLog, int64(entry.Seq), string(entry.Kind), columns.Blob(entry.ID), entry.KeyID, entry.Reason, // #nosec G115 -- counts up from 1
		columns.Millis(entry.At), columns.Millis(entry.Until), entry.Name, string(entry.Data))
	if err != nil {
		return err
	}
	t.appended = entry.Seq
	return nil
}

// Log implements authority.RevocationStore.
func (s *Store) Log(ctx context.Context, after uint64, limit int) ([]authority.LogEntry, error) {
	return many(ctx, s, "revocation log", scanEntry, sqlLog, int64(after), limit) // #nosec G115 -- a number the log gave out
}

// Head implements authority.RevocationStore.
func (s *Store) Head(ctx context.Context) (incarnation string, seq uint64, err error) {
	incarnation, err = one(ctx, s, "head of the revocation log", func(r columns.Row) (string, error) {
		var name string
		err := r.Scan(&name, &seq)
		return name, err
	}, sqlHead)
	return incarnation, seq, err
}

// Live implements authority.RevocationStore. Entries come in order.
func (s *Store) Live(ctx context.Context, now time.Time) (entries []authority.LogEntry, seq uint64, err error) {
	found, err := many(ctx, s, "live revocations", func(r columns.Row) (authority.LogEntry, error) {
		var entry authority.LogEntry
		var number *uint64
		var kind, key, reason, name *string
		err := r.Scan(&seq, &number, &kind, (*columns.ID)(&entry.ID), &key, &reason, (*columns.Time)(&entry.At), (*columns.Time)(&entry.Until),
			&name, (*columns.JSON)(&entry.Data))
		if err == nil && number != nil {
			entry.Seq, entry.Kind, entry.KeyID, entry.Reason, entry.Name = *number, authority.Kind(*kind), *key, *reason, *name
		}
		return entry, err
	}, sqlLive, columns.Millis(now))
	if len(found) == 1 && found[0].Seq == 0 {
		found = nil
	}
	return found, seq, err
}

// Revoked implements authority.RevocationStore.
func (s *Store) Revoked(ctx context.Context, k authority.Kind, id secret.ID) (authority.LogEntry, error) {
	return one(ctx, s, "revocation", scanEntry, sqlRevoked, id[:], string(k))
}

// Wait implements authority.RevocationStore.
func (s *Store) Wait(ctx context.Context, after uint64) error { return s.head.Wait(ctx, after) }

func scanEntry(r columns.Row) (authority.LogEntry, error) {
	var e authority.LogEntry
	err := r.Scan(&e.Seq, (*string)(&e.Kind), (*columns.ID)(&e.ID), &e.KeyID, &e.Reason, (*columns.Time)(&e.At), (*columns.Time)(&e.Until),
		&e.Name, (*columns.JSON)(&e.Data))
	return e, err
}
