-- +goose Up

-- Which uses of a counted token have happened, by the id that the one who asked
-- made for the use: a question that is asked again after its answer was lost
-- counts once. The rows go with the token's.
CREATE TABLE uses (
    jti     BLOB NOT NULL,
    request BLOB NOT NULL,
    PRIMARY KEY (jti, request)
) STRICT, WITHOUT ROWID;

-- What a client may mint for others, JSON; '' for nothing.
ALTER TABLE clients ADD COLUMN mint TEXT NOT NULL DEFAULT '';

-- What batches with an idempotency key were answered with, without the tokens.
CREATE TABLE mint_batches (
    client_id  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    digest     BLOB    NOT NULL, -- of the request
    answer     BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX mint_batches_expires ON mint_batches (expires_at);

-- Batches that wait for a second person.
CREATE TABLE mint_requests (
    id           BLOB    PRIMARY KEY,
    client_id    TEXT    NOT NULL,
    requested_by TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    body         BLOB    NOT NULL,
    state        TEXT    NOT NULL,
    decided_by   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX mint_requests_expires ON mint_requests (expires_at);
