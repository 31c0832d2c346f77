package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	logChannel   = "jeton_log"
	eventChannel = "jeton_events"

	sqlTell   = `SELECT pg_notify($1, '')`
	sqlListen = `LISTEN jeton_log; LISTEN jeton_events`
	sqlEnds   = `SELECT m.seq, o.seq, EXISTS (SELECT 1 FROM event_log WHERE seq IS NULL) FROM meta m, outbox o WHERE m.id = 1 AND o.id = 1`
)

// poll is how often the ends of the logs are read without being told to: a
// notification is a hint, and a connection may lose it.
const poll = 250 * time.Millisecond

// listen follows the ends of the logs, which other nodes move too, until the store
// is closed.
func (s *Store) listen() {
	for s.closing.Err() == nil {
		if err := s.follow(s.closing); err != nil && s.closing.Err() == nil {
			s.log.WarnContext(s.closing, "notifications of the database are not heard; trying again", "error", err)
		}
		select {
		case <-s.closing.Done():
		case <-time.After(poll):
		}
	}
}

// follow listens on a connection of its own, until that breaks.
func (s *Store) follow(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := join(ctx, conn); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, sqlListen); err != nil {
		return err
	}
	for {
		if err := s.look(ctx, conn); err != nil {
			return err
		}
		brief, cancel := context.WithTimeout(ctx, poll)
		_, err := conn.WaitForNotification(brief)
		silent := brief.Err() != nil
		cancel()
		if err != nil && !silent {
			return err
		}
	}
}

// look reads how far the logs have come.
func (s *Store) look(ctx context.Context, conn *pgx.Conn) error {
	var log, events uint64
	var more bool
	if err := conn.QueryRow(ctx, sqlEnds).Scan(&log, &events, &more); err != nil {
		return err
	}
	s.head.Advance(log)
	if more {
		events++ // at least; EventLog gives the number
	}
	s.events.Advance(events)
	return nil
}
