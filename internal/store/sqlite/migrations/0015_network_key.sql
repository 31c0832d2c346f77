-- +goose Up

-- The key of the digests of networks is sealed at the first start with this, and
-- network_key is empty from then on. An earlier program cannot read it there, so
-- this is compatible with none.
ALTER TABLE meta ADD COLUMN network_key_sealed BLOB NOT NULL DEFAULT x'';
