-- +goose Up

-- slot: a ring has at most one active key per slot. public: the public JWK, '' for
-- HMAC keys (and for keys of before, whose sealed form has it). due_at: when a
-- staged key becomes active, if not with the ring's period.
ALTER TABLE keys ADD COLUMN slot TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN public TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN due_at INTEGER;

UPDATE keys SET slot = algorithm WHERE ring = 'id';

DROP INDEX keys_active;
CREATE UNIQUE INDEX keys_active ON keys (ring, slot) WHERE state = 'active';

-- The version of each ring rises with every change of it.
CREATE TABLE key_rings (
    ring    TEXT    PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO key_rings (ring, version) SELECT DISTINCT ring, 1 FROM keys;
