-- +goose Up

-- Which node looks after what one at a time does. turn rises with every change:
-- a lease whose turn stands still has lost its holder.
CREATE TABLE leases (
    task   TEXT    PRIMARY KEY,
    holder TEXT    NOT NULL, -- '' for nobody
    turn   INTEGER NOT NULL,
    ran_at INTEGER           -- when the task was last done
) STRICT, WITHOUT ROWID;

-- What each node tells the others, a row for each topic.
CREATE TABLE notes (
    topic      TEXT    NOT NULL,
    node       TEXT    NOT NULL,
    body       BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (topic, node)
) STRICT, WITHOUT ROWID;

CREATE INDEX notes_expires ON notes (expires_at);

-- Which older programs work with the schema as a migration leaves it: those that
-- have the migrations up to since. A migration without a row here says nothing,
-- and programs that do not have it refuse the database.
CREATE TABLE compatible (
    version INTEGER PRIMARY KEY,
    since   INTEGER NOT NULL
) STRICT;

INSERT INTO compatible (version, since) VALUES (12, 11);
