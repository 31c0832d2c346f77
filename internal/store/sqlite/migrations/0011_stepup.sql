-- +goose Up

-- Why the grant ended, as one of the stable codes that clients are told; ''
-- while it lives. end_reason beside it is a person's text.
ALTER TABLE grants ADD COLUMN end_code TEXT NOT NULL DEFAULT '';
