-- Who is signed in to the pages. `id` is the digest of the session's name. It
-- ends at `expires` at the latest, and earlier if it is not used.
CREATE TABLE web_sessions (
    id BYTEA NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX web_sessions_of_user ON web_sessions (user_id);
CREATE INDEX web_sessions_by_expiry ON web_sessions (expires);

-- Passwords for programs. They are random, so a digest gives nothing to guess
-- them with.
CREATE TABLE app_passwords (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    name TEXT NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    created BIGINT NOT NULL,
    last_used BIGINT
);
CREATE INDEX app_passwords_of_user ON app_passwords (user_id);

-- What a user has allowed on a page, for the request that will ask for it.
CREATE TABLE grants (
    digest BYTEA NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX grants_of_user ON grants (user_id);
CREATE INDEX grants_by_expiry ON grants (expires);
