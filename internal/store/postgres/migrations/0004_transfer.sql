-- +goose Up

-- What this database is if it must not be served: a copy that is not finished
-- ('filling'), or one that was left for its copy ('retired'). See jeton store copy.
CREATE TABLE transfer (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    state TEXT    NOT NULL,
    copy  TEXT    NOT NULL, -- its name, the same on both sides
    peer  TEXT    NOT NULL,
    at    BIGINT  NOT NULL
);

INSERT INTO compatible (version, since) VALUES (4, 1);
