-- Times are Unix milliseconds, durations are milliseconds, ids are the 16 bytes
-- of a time-ordered id, lists are JSON arrays of strings. There are no foreign
-- keys: a row that depends on another is written by a statement that reads the
-- other, so that a missing one is a refusal of that call and not a failure of
-- the commit it shares with others.

-- +goose Up

-- The log's incarnation and the highest number it has given out. The number
-- lives here because the log itself is swept.
CREATE TABLE meta (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    incarnation TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    ready_at    INTEGER NOT NULL
) STRICT;

INSERT INTO meta (id, incarnation, seq, ready_at) VALUES (1, lower(hex(randomblob(16))), 0, 0);

CREATE TABLE accounts (
    id             BLOB    PRIMARY KEY,
    login          TEXT    NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    email          TEXT    NOT NULL,
    email_verified INTEGER NOT NULL,
    password_hash  TEXT    NOT NULL,
    disabled       INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE clients (
    id                        TEXT    PRIMARY KEY,
    name                      TEXT    NOT NULL,
    auth_method               TEXT    NOT NULL,
    secrets                   TEXT    NOT NULL, -- JSON
    grant_types               TEXT    NOT NULL,
    redirect_uris             TEXT    NOT NULL,
    post_logout_redirect_uris TEXT    NOT NULL,
    scope                     TEXT    NOT NULL,
    audience                  TEXT    NOT NULL,
    first_party               INTEGER NOT NULL,
    native                    INTEGER NOT NULL,
    without_pkce              INTEGER NOT NULL,
    id_token_alg              TEXT    NOT NULL,
    access_lifetime           INTEGER NOT NULL,
    refresh_idle              INTEGER NOT NULL,
    refresh_absolute          INTEGER NOT NULL,
    refresh_policy            TEXT    NOT NULL,
    revoke_shared             INTEGER NOT NULL,
    disabled                  INTEGER NOT NULL,
    version                   INTEGER NOT NULL,
    created_at                INTEGER NOT NULL,
    updated_at                INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE resources (
    audience   TEXT    PRIMARY KEY,
    client_id  TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX resources_client ON resources (client_id);

-- sweep_at is a moment before which upkeep need not look at the row. A moving
-- idle time does not move it: upkeep pushes it on when it finds the row alive.
-- So a session or grant in use is never written to this index.
CREATE TABLE sessions (
    id            BLOB    PRIMARY KEY,
    account_id    BLOB    NOT NULL,
    digest        BLOB    NOT NULL,
    auth_time     INTEGER NOT NULL,
    amr           TEXT    NOT NULL,
    acr           TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    last_seen     INTEGER NOT NULL,
    idle_until    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    first_network TEXT    NOT NULL,
    first_agent   TEXT    NOT NULL,
    last_network  TEXT    NOT NULL,
    last_agent    TEXT    NOT NULL,
    ended_at      INTEGER,
    end_reason    TEXT    NOT NULL,
    sweep_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_account ON sessions (account_id, id);
CREATE INDEX sessions_sweep ON sessions (sweep_at);

CREATE TABLE consents (
    account_id BLOB    NOT NULL,
    client_id  TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, client_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX consents_client ON consents (client_id);

CREATE TABLE codes (
    id           BLOB    PRIMARY KEY,
    digest       BLOB    NOT NULL,
    client_id    TEXT    NOT NULL,
    account_id   BLOB    NOT NULL,
    session_id   BLOB    NOT NULL,
    redirect_uri TEXT    NOT NULL,
    challenge    TEXT    NOT NULL,
    scope        TEXT    NOT NULL,
    audience     TEXT    NOT NULL,
    nonce        TEXT    NOT NULL,
    auth_time    INTEGER NOT NULL,
    acr          TEXT    NOT NULL,
    amr          TEXT    NOT NULL,
    network      TEXT    NOT NULL,
    agent        TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    grant_id     BLOB -- set once it was redeemed
) STRICT, WITHOUT ROWID;

CREATE INDEX codes_client ON codes (client_id, account_id);
CREATE INDEX codes_expires ON codes (expires_at);

-- What decides whether a grant is live comes first: each issued token reads it.
CREATE TABLE grants (
    id                BLOB    PRIMARY KEY,
    ended_at          INTEGER,
    expires_at        INTEGER NOT NULL,
    idle_until        INTEGER NOT NULL,
    generation        INTEGER NOT NULL,
    type              TEXT    NOT NULL,
    client_id         TEXT    NOT NULL,
    account_id        BLOB,
    session_id        BLOB,
    made_in           BLOB, -- the session it was made in, also when it outlives that session
    scope             TEXT    NOT NULL,
    audience          TEXT    NOT NULL,
    auth_time         INTEGER NOT NULL,
    acr               TEXT    NOT NULL,
    amr               TEXT    NOT NULL,
    nonce             TEXT    NOT NULL,
    has_refresh       INTEGER NOT NULL,
    salt              BLOB    NOT NULL,
    refresh_key       TEXT    NOT NULL,
    policy            TEXT    NOT NULL,
    rotated_at        INTEGER NOT NULL,
    steps             TEXT    NOT NULL, -- JSON array of times
    replays           INTEGER NOT NULL,
    replay_generation INTEGER NOT NULL,
    stale             INTEGER NOT NULL,
    first_network     TEXT    NOT NULL,
    first_agent       TEXT    NOT NULL,
    last_network      TEXT    NOT NULL,
    last_agent        TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    last_used         INTEGER NOT NULL,
    end_reason        TEXT    NOT NULL,
    sweep_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX grants_account ON grants (account_id, id) WHERE ended_at IS NULL AND account_id IS NOT NULL;
CREATE INDEX grants_client ON grants (client_id, id) WHERE ended_at IS NULL;
CREATE INDEX grants_made_in ON grants (made_in) WHERE ended_at IS NULL AND made_in IS NOT NULL;
CREATE UNIQUE INDEX grants_standing ON grants (client_id) WHERE type = 'client_credentials' AND ended_at IS NULL;
CREATE INDEX grants_sweep ON grants (sweep_at);

-- No second index: this is the table that every issued token is written to.
-- Ids start with their time, so upkeep walks the primary key.
CREATE TABLE tokens (
    jti    BLOB    PRIMARY KEY,
    digest BLOB    NOT NULL,
    gid    BLOB    NOT NULL,
    exp    INTEGER NOT NULL,
    uses   INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE revocations (
    seq    INTEGER PRIMARY KEY,
    kind   TEXT    NOT NULL,
    target BLOB, -- NULL for keys
    key_id TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    until  INTEGER NOT NULL
) STRICT;

CREATE INDEX revocations_target ON revocations (target, kind) WHERE target IS NOT NULL;

CREATE TABLE keys (
    ring       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    algorithm  TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (ring, id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX keys_active ON keys (ring, algorithm) WHERE state = 'active';

CREATE TABLE events (
    id         BLOB PRIMARY KEY,
    type       TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id   TEXT NOT NULL,
    account_id BLOB,
    client_id  TEXT NOT NULL,
    session_id BLOB,
    grant_id   BLOB,
    token_id   BLOB,
    network    TEXT NOT NULL,
    agent      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    data       TEXT NOT NULL -- JSON object
) STRICT, WITHOUT ROWID;

CREATE INDEX events_account ON events (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX events_client ON events (client_id, id) WHERE client_id <> '';
CREATE INDEX events_type ON events (type, id);
