-- +goose Up

-- Which node looks after what one at a time does. turn rises with every change:
-- a lease whose turn stands still has lost its holder.
CREATE TABLE leases (
    task   TEXT   COLLATE "C" PRIMARY KEY,
    holder TEXT   NOT NULL, -- '' for nobody
    turn   BIGINT NOT NULL,
    ran_at BIGINT           -- when the task was last done
);

-- What each node tells the others, a row for each topic.
CREATE TABLE notes (
    topic      TEXT   COLLATE "C" NOT NULL,
    node       TEXT   COLLATE "C" NOT NULL,
    body       BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (topic, node)
);

CREATE INDEX notes_expires ON notes (expires_at);

-- Which older programs work with the schema as a migration leaves it: those that
-- have the migrations up to since. A migration without a row here says nothing,
-- and programs that do not have it refuse the database.
CREATE TABLE compatible (
    version BIGINT PRIMARY KEY,
    since   BIGINT NOT NULL
);

INSERT INTO compatible (version, since) VALUES (2, 1);
