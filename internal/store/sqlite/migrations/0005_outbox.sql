-- +goose Up

-- The audit trail in the order in which it was committed. What lies behind the
-- cursor is swept; a number is never given out twice.
CREATE TABLE event_log (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id BLOB    NOT NULL
) STRICT;

-- How far deliveries have been planned.
CREATE TABLE outbox (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    cursor INTEGER NOT NULL
) STRICT;

INSERT INTO outbox (id, cursor) VALUES (1, 0);

CREATE TABLE deliveries (
    id          BLOB    PRIMARY KEY,
    channel     TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    lane        TEXT    NOT NULL,
    event_id    BLOB    NOT NULL,
    event_type  TEXT    NOT NULL,
    body        BLOB    NOT NULL,
    body_sealed BLOB    NOT NULL, -- in place of body, or empty
    state       TEXT    NOT NULL,
    attempts    INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    give_up_at  INTEGER NOT NULL,
    claim       BLOB,
    last_error  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    done_at     INTEGER,
    keep_until  INTEGER -- set with done_at
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (lane, next_at) WHERE done_at IS NULL;
CREATE INDEX deliveries_kept ON deliveries (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX deliveries_target ON deliveries (channel, target, id);
CREATE INDEX deliveries_failed ON deliveries (id) WHERE state = 'failed';
CREATE INDEX deliveries_sealed ON deliveries (id) WHERE body_sealed <> x'';

CREATE TABLE webhooks (
    name          TEXT    PRIMARY KEY,
    url           TEXT    NOT NULL,
    events        TEXT    NOT NULL,
    allow_private INTEGER NOT NULL,
    disabled      INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_secrets (
    id         BLOB    PRIMARY KEY,
    webhook    TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_secrets_webhook ON webhook_secrets (webhook, id);

-- Where a client is told that a session ended, and whether it must be told which.
ALTER TABLE clients ADD COLUMN backchannel_logout_uri TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN backchannel_logout_session_required INTEGER NOT NULL DEFAULT 0;

-- The clients to tell when a session ends, by the id of the session that each
-- was told. The rows go with the session's.
CREATE TABLE session_clients (
    session_id BLOB NOT NULL,
    client_id  TEXT NOT NULL,
    told       BLOB NOT NULL,
    ended_by   BLOB, -- the event that the session ended with
    PRIMARY KEY (session_id, client_id, told)
) STRICT, WITHOUT ROWID;

CREATE INDEX session_clients_ended ON session_clients (ended_by, client_id, told) WHERE ended_by IS NOT NULL;
