-- +goose Up

-- Data keys, wrapped by a master key that is kept elsewhere. master names that
-- key. The newest seals.
CREATE TABLE data_keys (
    id         BLOB    PRIMARY KEY,
    master     TEXT    NOT NULL,
    wrapped    BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    wrapped_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The ring of shared secrets that signs access tokens for the resource; '' for
-- the access ring.
ALTER TABLE resources ADD COLUMN ring TEXT NOT NULL DEFAULT '';
