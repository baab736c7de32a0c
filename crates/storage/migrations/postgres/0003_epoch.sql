-- Raised by whatever voids what a user has proven: a new password, a factor that
-- comes or goes, an end of all sessions. `version` is raised with it, and also by
-- codes that are spent or counted, which void nothing.
ALTER TABLE factors ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
