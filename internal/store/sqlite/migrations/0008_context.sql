-- +goose Up

-- The key of the digests that stand for networks. It is not sealed: whoever has
-- this file has the networks themselves, in sessions, grants and events.
ALTER TABLE meta ADD COLUMN network_key BLOB NOT NULL DEFAULT x'';
UPDATE meta SET network_key = randomblob(32);

-- What is done when a client's tokens come from another network: '' is the
-- default. ip_refresh: whether that goes for its refresh tokens too.
ALTER TABLE clients ADD COLUMN ip TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN ip_refresh INTEGER NOT NULL DEFAULT 0;

-- Where accounts have signed in from, as digests. The mark of sixteen zero bytes
-- says that an account has signed in before, and stays.
CREATE TABLE account_marks (
    account_id BLOB    NOT NULL,
    mark       BLOB    NOT NULL,
    until      INTEGER NOT NULL,
    PRIMARY KEY (account_id, mark)
) STRICT, WITHOUT ROWID;

CREATE INDEX account_marks_until ON account_marks (until);
CREATE INDEX account_marks_kept ON account_marks (account_id, until, mark);
