-- +goose Up

-- Refreshes leave nothing for a vacuum, but ended rows do. By default one begins
-- when a fifth of a table is dead, which of ten million grants is much.
ALTER TABLE grants SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE sessions SET (autovacuum_vacuum_scale_factor = 0.02);

INSERT INTO compatible (version, since) VALUES (5, 1);
