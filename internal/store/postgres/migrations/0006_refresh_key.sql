-- +goose Up

-- A key of refresh tokens may go when no live grant names it. Grants keep the key
-- that they have for as long as it makes new tokens, so this index is written when
-- a grant is made and once after each change of the key.
CREATE INDEX grants_refresh_key ON grants (refresh_key) WHERE ended_at IS NULL;

INSERT INTO compatible (version, since) VALUES (6, 1);
