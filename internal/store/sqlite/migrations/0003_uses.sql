-- +goose Up

-- Which uses of a counted token have happened, by the id that the one who asked
-- made for the use: a question that is asked again after its answer was lost
-- counts once. The rows go with the token's.
CREATE TABLE uses (
    jti     BLOB NOT NULL,
    request BLOB NOT NULL,
    PRIMARY KEY (jti, request)
) STRICT, WITHOUT ROWID;
