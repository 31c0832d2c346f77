-- Times are Unix milliseconds, durations are milliseconds, ids are the 16 bytes
-- of a time-ordered id, lists are JSON arrays of strings. Texts that are keys or
-- give an order compare byte by byte, whatever the database's locale. There are
-- no foreign keys: a row that depends on another is written by a statement that
-- locks or reads the other, so that a missing one is a refusal of that call and
-- not a failure of the commit it shares with others.

-- +goose Up

-- The log's incarnation and the highest number it has given out. Whoever appends
-- to the log holds this row until the commit, so that numbers have no gaps in
-- commit order.
CREATE TABLE meta (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    incarnation TEXT    NOT NULL,
    seq         BIGINT  NOT NULL,
    -- The key of the digests that stand for networks. It is not sealed: whoever
    -- has this table has the networks themselves, in sessions, grants and events.
    network_key BYTEA   NOT NULL
);

INSERT INTO meta (id, incarnation, seq, network_key)
VALUES (1, replace(gen_random_uuid()::text, '-', ''), 0,
        decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- When a node last showed that it can write. Not in meta, which appends hold.
CREATE TABLE readiness (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at BIGINT  NOT NULL
);

INSERT INTO readiness (id, at) VALUES (1, 0);

CREATE TABLE accounts (
    id             BYTEA   PRIMARY KEY,
    login          TEXT    COLLATE "C" NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    email          TEXT    NOT NULL,
    email_verified BOOLEAN NOT NULL,
    password_hash  TEXT    NOT NULL,
    disabled       BOOLEAN NOT NULL,
    version        BIGINT  NOT NULL,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL
);

CREATE TABLE clients (
    id                                  TEXT    COLLATE "C" PRIMARY KEY,
    name                                TEXT    NOT NULL,
    auth_method                         TEXT    NOT NULL,
    secrets                             TEXT    NOT NULL, -- JSON
    grant_types                         TEXT    NOT NULL,
    redirect_uris                       TEXT    NOT NULL,
    post_logout_redirect_uris           TEXT    NOT NULL,
    scope                               TEXT    NOT NULL,
    audience                            TEXT    NOT NULL,
    first_party                         BOOLEAN NOT NULL,
    native                              BOOLEAN NOT NULL,
    without_pkce                        BOOLEAN NOT NULL,
    id_token_alg                        TEXT    NOT NULL,
    access_lifetime                     BIGINT  NOT NULL,
    refresh_idle                        BIGINT  NOT NULL,
    refresh_absolute                    BIGINT  NOT NULL,
    refresh_policy                      TEXT    NOT NULL,
    revoke_shared                       BOOLEAN NOT NULL,
    mint                                TEXT    NOT NULL, -- JSON; '' for nothing
    dpop_bound                          BOOLEAN NOT NULL,
    ip                                  TEXT    NOT NULL,
    ip_refresh                          BOOLEAN NOT NULL,
    backchannel_logout_uri              TEXT    NOT NULL,
    backchannel_logout_session_required BOOLEAN NOT NULL,
    disabled                            BOOLEAN NOT NULL,
    version                             BIGINT  NOT NULL,
    created_at                          BIGINT  NOT NULL,
    updated_at                          BIGINT  NOT NULL
);

CREATE TABLE resources (
    audience   TEXT   COLLATE "C" PRIMARY KEY,
    client_id  TEXT   COLLATE "C" NOT NULL,
    name       TEXT   NOT NULL,
    scope      TEXT   NOT NULL,
    ring       TEXT   NOT NULL, -- of shared secrets; '' for the access ring
    created_at BIGINT NOT NULL
);

CREATE INDEX resources_client ON resources (client_id);

-- sweep_at is a moment before which upkeep need not look at the row. A moving
-- idle time does not move it: upkeep pushes it on when it finds the row alive.
-- So a session or grant in use is never written to this index.
CREATE TABLE sessions (
    id            BYTEA  PRIMARY KEY,
    account_id    BYTEA  NOT NULL,
    digest        BYTEA  NOT NULL,
    auth_time     BIGINT NOT NULL,
    amr           TEXT   NOT NULL,
    acr           TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    last_seen     BIGINT NOT NULL,
    idle_until    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    first_network TEXT   NOT NULL,
    first_agent   TEXT   NOT NULL,
    last_network  TEXT   NOT NULL,
    last_agent    TEXT   NOT NULL,
    ended_at      BIGINT,
    end_reason    TEXT   NOT NULL,
    sweep_at      BIGINT NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX sessions_account ON sessions (account_id, id);
CREATE INDEX sessions_sweep ON sessions (sweep_at);

-- The clients to tell when a session ends, by the id of the session that each
-- was told. The rows go with the session's.
CREATE TABLE session_clients (
    session_id BYTEA NOT NULL,
    client_id  TEXT  COLLATE "C" NOT NULL,
    told       BYTEA NOT NULL,
    ended_by   BYTEA, -- the event that the session ended with
    PRIMARY KEY (session_id, client_id, told)
);

CREATE INDEX session_clients_ended ON session_clients (ended_by, client_id, told) WHERE ended_by IS NOT NULL;

-- Where accounts have signed in from, as digests. The mark of sixteen zero bytes
-- says that an account has signed in before, and stays.
CREATE TABLE account_marks (
    account_id BYTEA  NOT NULL,
    mark       BYTEA  NOT NULL,
    until      BIGINT NOT NULL,
    PRIMARY KEY (account_id, mark)
);

CREATE INDEX account_marks_until ON account_marks (until);
CREATE INDEX account_marks_kept ON account_marks (account_id, until, mark);

CREATE TABLE consents (
    account_id BYTEA  NOT NULL,
    client_id  TEXT   COLLATE "C" NOT NULL,
    scope      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, client_id)
);

CREATE INDEX consents_client ON consents (client_id);

CREATE TABLE codes (
    id           BYTEA  PRIMARY KEY,
    digest       BYTEA  NOT NULL,
    client_id    TEXT   COLLATE "C" NOT NULL,
    account_id   BYTEA  NOT NULL,
    session_id   BYTEA  NOT NULL,
    redirect_uri TEXT   NOT NULL,
    challenge    TEXT   NOT NULL,
    scope        TEXT   NOT NULL,
    audience     TEXT   NOT NULL,
    nonce        TEXT   NOT NULL,
    auth_time    BIGINT NOT NULL,
    acr          TEXT   NOT NULL,
    amr          TEXT   NOT NULL,
    network      TEXT   NOT NULL,
    agent        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    grant_id     BYTEA, -- set once it was redeemed
    dpop_jkt     TEXT   NOT NULL
);

CREATE INDEX codes_client ON codes (client_id, account_id);
CREATE INDEX codes_expires ON codes (expires_at);

-- A refresh writes no indexed column, and there is room on the page: the new
-- version of the row needs no index entry and the old one no vacuum (HOT).
CREATE TABLE grants (
    id                BYTEA   PRIMARY KEY,
    ended_at          BIGINT,
    expires_at        BIGINT  NOT NULL,
    idle_until        BIGINT  NOT NULL,
    generation        BIGINT  NOT NULL,
    type              TEXT    NOT NULL,
    client_id         TEXT    COLLATE "C" NOT NULL,
    account_id        BYTEA,
    session_id        BYTEA,
    made_in           BYTEA, -- the session it was made in, also when it outlives that session
    scope             TEXT    NOT NULL,
    audience          TEXT    NOT NULL,
    auth_time         BIGINT  NOT NULL,
    acr               TEXT    NOT NULL,
    amr               TEXT    NOT NULL,
    nonce             TEXT    NOT NULL,
    has_refresh       BOOLEAN NOT NULL,
    salt              BYTEA   NOT NULL,
    refresh_key       TEXT    NOT NULL,
    policy            TEXT    NOT NULL,
    rotated_at        BIGINT  NOT NULL,
    steps             TEXT    NOT NULL, -- JSON array of times
    replays           BIGINT  NOT NULL,
    replay_generation BIGINT  NOT NULL,
    stale             BOOLEAN NOT NULL,
    first_network     TEXT    NOT NULL,
    first_agent       TEXT    NOT NULL,
    last_network      TEXT    NOT NULL,
    last_agent        TEXT    NOT NULL,
    created_at        BIGINT  NOT NULL,
    last_used         BIGINT  NOT NULL,
    end_reason        TEXT    NOT NULL, -- a person's text
    end_code          TEXT    NOT NULL, -- what clients are told
    dpop_jkt          TEXT    NOT NULL,
    sweep_at          BIGINT  NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX grants_account ON grants (account_id, id) WHERE ended_at IS NULL AND account_id IS NOT NULL;
CREATE INDEX grants_client ON grants (client_id, id) WHERE ended_at IS NULL;
CREATE INDEX grants_made_in ON grants (made_in) WHERE ended_at IS NULL AND made_in IS NOT NULL;
CREATE UNIQUE INDEX grants_standing ON grants (client_id) WHERE type = 'client_credentials' AND ended_at IS NULL;
CREATE INDEX grants_sweep ON grants (sweep_at);

-- Ids start with their time: the registry is partitioned by them, and what has
-- expired goes as a whole partition, without a row being looked at.
CREATE TABLE tokens (
    jti    BYTEA  PRIMARY KEY,
    digest BYTEA  NOT NULL,
    gid    BYTEA  NOT NULL,
    exp    BIGINT NOT NULL,
    uses   BIGINT
) PARTITION BY RANGE (jti);

-- What no partition was made for in time.
CREATE TABLE tokens_other PARTITION OF tokens DEFAULT;
CREATE INDEX tokens_other_exp ON tokens_other (exp);

-- Which uses of a counted token have happened, by the id that the one who asked
-- made for the use: a question that is asked again after its answer was lost
-- counts once. The rows go with the token's.
CREATE TABLE uses (
    jti     BYTEA NOT NULL,
    request BYTEA NOT NULL,
    PRIMARY KEY (jti, request)
) PARTITION BY RANGE (jti);

CREATE TABLE uses_other PARTITION OF uses DEFAULT;

-- What batches with an idempotency key were answered with, without the tokens.
CREATE TABLE mint_batches (
    client_id  TEXT   COLLATE "C" NOT NULL,
    key        TEXT   COLLATE "C" NOT NULL,
    digest     BYTEA  NOT NULL, -- of the request
    answer     BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, key)
);

CREATE INDEX mint_batches_expires ON mint_batches (expires_at);

-- Batches that wait for a second person.
CREATE TABLE mint_requests (
    id           BYTEA  PRIMARY KEY,
    client_id    TEXT   NOT NULL,
    requested_by TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    body         BYTEA  NOT NULL,
    state        TEXT   NOT NULL,
    decided_by   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX mint_requests_expires ON mint_requests (expires_at);

-- Short-lived state that is created, looked at, swapped and taken, a row each.
-- What has expired counts as gone; upkeep removes it.
CREATE TABLE tickets (
    kind       TEXT   COLLATE "C" NOT NULL,
    key        TEXT   COLLATE "C" NOT NULL,
    value      BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (kind, key)
);

CREATE INDEX tickets_expires ON tickets (expires_at);

CREATE TABLE revocations (
    seq    BIGINT PRIMARY KEY,
    kind   TEXT   NOT NULL,
    target BYTEA, -- NULL for keys
    key_id TEXT   NOT NULL,
    name   TEXT   NOT NULL,
    data   TEXT   NOT NULL,
    reason TEXT   NOT NULL,
    at     BIGINT NOT NULL,
    until  BIGINT NOT NULL
);

CREATE INDEX revocations_target ON revocations (target, kind) WHERE target IS NOT NULL;

-- Policies as they are now. seq is the number of the last change in the log:
-- a verifier that starts over gets them from here, however old they are.
CREATE TABLE policies (
    name       TEXT   COLLATE "C" PRIMARY KEY,
    audience   TEXT   NOT NULL,
    data       TEXT   NOT NULL, -- JSON
    seq        BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE keys (
    ring       TEXT   COLLATE "C" NOT NULL,
    id         TEXT   COLLATE "C" NOT NULL,
    slot       TEXT   NOT NULL,
    algorithm  TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    public     TEXT   NOT NULL,
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    due_at     BIGINT,
    PRIMARY KEY (ring, id)
);

CREATE UNIQUE INDEX keys_active ON keys (ring, slot) WHERE state = 'active';

-- The version of each ring rises with every change of it.
CREATE TABLE key_rings (
    ring    TEXT   COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL
);

-- Data keys, wrapped by a master key that is kept elsewhere. master names that
-- key. The newest seals.
CREATE TABLE data_keys (
    id         BYTEA  PRIMARY KEY,
    master     TEXT   NOT NULL,
    wrapped    BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    wrapped_at BIGINT NOT NULL
);

CREATE TABLE events (
    id         BYTEA PRIMARY KEY,
    type       TEXT  COLLATE "C" NOT NULL,
    actor_kind TEXT  NOT NULL,
    actor_id   TEXT  NOT NULL,
    account_id BYTEA,
    client_id  TEXT  COLLATE "C" NOT NULL,
    session_id BYTEA,
    grant_id   BYTEA,
    token_id   BYTEA,
    network    TEXT  NOT NULL,
    agent      TEXT  NOT NULL,
    reason     TEXT  NOT NULL,
    data       TEXT  NOT NULL -- JSON object
);

CREATE INDEX events_account ON events (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX events_client ON events (client_id, id) WHERE client_id <> '';
CREATE INDEX events_type ON events (type, id);

-- The audit trail in the order in which it is told. A commit leaves its events
-- here without a number, so that commits do not wait for each other; who reads
-- the log gives numbers to what has been committed, one reader at a time.
CREATE TABLE event_log (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id BYTEA  NOT NULL,
    seq      BIGINT
);

CREATE UNIQUE INDEX event_log_seq ON event_log (seq) WHERE seq IS NOT NULL;
CREATE INDEX event_log_new ON event_log (id) WHERE seq IS NULL;

-- How far events have numbers, and how far deliveries have been planned.
CREATE TABLE outbox (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    seq    BIGINT  NOT NULL,
    cursor BIGINT  NOT NULL
);

INSERT INTO outbox (id, seq, cursor) VALUES (1, 0, 0);

CREATE TABLE deliveries (
    id          BYTEA  PRIMARY KEY,
    channel     TEXT   COLLATE "C" NOT NULL,
    target      TEXT   COLLATE "C" NOT NULL,
    lane        TEXT   COLLATE "C" NOT NULL,
    event_id    BYTEA  NOT NULL,
    event_type  TEXT   NOT NULL,
    body        BYTEA  NOT NULL,
    body_sealed BYTEA  NOT NULL, -- in place of body, or empty
    state       TEXT   NOT NULL,
    attempts    BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    give_up_at  BIGINT NOT NULL,
    claim       BYTEA,
    last_error  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    done_at     BIGINT,
    keep_until  BIGINT -- set with done_at
);

CREATE INDEX deliveries_due ON deliveries (lane, next_at) WHERE done_at IS NULL;
CREATE INDEX deliveries_kept ON deliveries (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX deliveries_target ON deliveries (channel, target, id);
CREATE INDEX deliveries_failed ON deliveries (id) WHERE state = 'failed';
CREATE INDEX deliveries_sealed ON deliveries (id) WHERE body_sealed <> ''::bytea;

CREATE TABLE webhooks (
    name          TEXT    COLLATE "C" PRIMARY KEY,
    url           TEXT    NOT NULL,
    events        TEXT    NOT NULL,
    allow_private BOOLEAN NOT NULL,
    disabled      BOOLEAN NOT NULL,
    version       BIGINT  NOT NULL,
    created_at    BIGINT  NOT NULL,
    updated_at    BIGINT  NOT NULL
);

CREATE TABLE webhook_secrets (
    id         BYTEA  PRIMARY KEY,
    webhook    TEXT   COLLATE "C" NOT NULL,
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);

CREATE INDEX webhook_secrets_webhook ON webhook_secrets (webhook, id);
