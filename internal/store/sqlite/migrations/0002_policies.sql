-- +goose Up

-- Policies as they are now. seq is the number of the last change in the log:
-- a verifier that starts over gets them from here, however old they are.
CREATE TABLE policies (
    name       TEXT    PRIMARY KEY,
    audience   TEXT    NOT NULL,
    data       TEXT    NOT NULL, -- JSON
    seq        INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Entries that end nothing: what they are about, and what they say of it.
ALTER TABLE revocations ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE revocations ADD COLUMN data TEXT NOT NULL DEFAULT '';
