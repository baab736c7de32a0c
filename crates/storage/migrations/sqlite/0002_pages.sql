-- Who is signed in to the pages. `id` is the digest of the session's name. It
-- ends at `expires` at the latest, and earlier if it is not used.
CREATE TABLE web_sessions (
    id BLOB NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX web_sessions_of_user ON web_sessions (user_id);
CREATE INDEX web_sessions_by_expiry ON web_sessions (expires);

-- Passwords for programs. They are random, so a digest gives nothing to guess
-- them with.
CREATE TABLE app_passwords (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    last_used INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX app_passwords_of_user ON app_passwords (user_id);

-- What a user has allowed on a page, for the request that will ask for it.
CREATE TABLE grants (
    digest BLOB NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_of_user ON grants (user_id);
CREATE INDEX grants_by_expiry ON grants (expires);
