-- +goose Up

-- Short-lived state that is created, looked at, swapped and taken, a row each.
-- What has expired counts as gone; upkeep removes it.
CREATE TABLE tickets (
    kind       TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX tickets_expires ON tickets (expires_at);

-- RFC 7638 thumbprints of the DPoP key that a code or a grant is bound to; ''
-- for none.
ALTER TABLE codes ADD COLUMN dpop_jkt TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN dpop_jkt TEXT NOT NULL DEFAULT '';

-- Whether the client gets no tokens but bound ones.
ALTER TABLE clients ADD COLUMN dpop_bound INTEGER NOT NULL DEFAULT 0;
