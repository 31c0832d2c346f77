-- The schema after migration 0011, as sqlite_master shows it. Never edit it: databases like it exist.

CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);

CREATE TABLE meta (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    incarnation TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    ready_at    INTEGER NOT NULL
, network_key BLOB NOT NULL DEFAULT x'') STRICT;

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
, mint TEXT NOT NULL DEFAULT '', dpop_bound INTEGER NOT NULL DEFAULT 0, backchannel_logout_uri TEXT NOT NULL DEFAULT '', backchannel_logout_session_required INTEGER NOT NULL DEFAULT 0, ip TEXT NOT NULL DEFAULT '', ip_refresh INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;

CREATE TABLE resources (
    audience   TEXT    PRIMARY KEY,
    client_id  TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    created_at INTEGER NOT NULL
, ring TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;

CREATE INDEX resources_client ON resources (client_id);

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
, dpop_jkt TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;

CREATE INDEX codes_client ON codes (client_id, account_id);

CREATE INDEX codes_expires ON codes (expires_at);

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
, dpop_jkt TEXT NOT NULL DEFAULT '', end_code TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;

CREATE INDEX grants_account ON grants (account_id, id) WHERE ended_at IS NULL AND account_id IS NOT NULL;

CREATE INDEX grants_client ON grants (client_id, id) WHERE ended_at IS NULL;

CREATE INDEX grants_made_in ON grants (made_in) WHERE ended_at IS NULL AND made_in IS NOT NULL;

CREATE UNIQUE INDEX grants_standing ON grants (client_id) WHERE type = 'client_credentials' AND ended_at IS NULL;

CREATE INDEX grants_sweep ON grants (sweep_at);

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
, name TEXT NOT NULL DEFAULT '', data TEXT NOT NULL DEFAULT '') STRICT;

CREATE INDEX revocations_target ON revocations (target, kind) WHERE target IS NOT NULL;

CREATE TABLE keys (
    ring       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    algorithm  TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL, slot TEXT NOT NULL DEFAULT '', public TEXT NOT NULL DEFAULT '', due_at INTEGER,
    PRIMARY KEY (ring, id)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE policies (
    name       TEXT    PRIMARY KEY,
    audience   TEXT    NOT NULL,
    data       TEXT    NOT NULL, -- JSON
    seq        INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE uses (
    jti     BLOB NOT NULL,
    request BLOB NOT NULL,
    PRIMARY KEY (jti, request)
) STRICT, WITHOUT ROWID;

CREATE TABLE mint_batches (
    client_id  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    digest     BLOB    NOT NULL, -- of the request
    answer     BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX mint_batches_expires ON mint_batches (expires_at);

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

CREATE TABLE tickets (
    kind       TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX tickets_expires ON tickets (expires_at);

CREATE TABLE event_log (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id BLOB    NOT NULL
) STRICT;

CREATE TABLE outbox (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    cursor INTEGER NOT NULL
) STRICT;

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

CREATE TABLE session_clients (
    session_id BLOB NOT NULL,
    client_id  TEXT NOT NULL,
    told       BLOB NOT NULL,
    ended_by   BLOB, -- the event that the session ended with
    PRIMARY KEY (session_id, client_id, told)
) STRICT, WITHOUT ROWID;

CREATE INDEX session_clients_ended ON session_clients (ended_by, client_id, told) WHERE ended_by IS NOT NULL;

CREATE UNIQUE INDEX keys_active ON keys (ring, slot) WHERE state = 'active';

CREATE TABLE key_rings (
    ring    TEXT    PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE data_keys (
    id         BLOB    PRIMARY KEY,
    master     TEXT    NOT NULL,
    wrapped    BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    wrapped_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account_marks (
    account_id BLOB    NOT NULL,
    mark       BLOB    NOT NULL,
    until      INTEGER NOT NULL,
    PRIMARY KEY (account_id, mark)
) STRICT, WITHOUT ROWID;

CREATE INDEX account_marks_until ON account_marks (until);

CREATE INDEX account_marks_kept ON account_marks (account_id, until, mark);

INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (11, 1);
INSERT INTO meta (id, incarnation, seq, ready_at, network_key) VALUES (1, 'frozen', 0, 0, randomblob(32));
INSERT INTO outbox (id, cursor) VALUES (1, 0);
