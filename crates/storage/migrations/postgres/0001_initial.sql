-- Times are milliseconds since the Unix epoch. Digests are SHA-256. Names are
-- compared byte by byte, as SQLite does.

-- The anchor of everything about a user's second factors. Whoever changes any
-- of it, or the password, raises `version`, and a decision holds only for the
-- version it was made on. A user without a row is at version zero; every account
-- has one. A row is never deleted: its version must not begin again.
CREATE TABLE factors (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    totp_in_a_row BIGINT NOT NULL DEFAULT 0,
    totp_window_started BIGINT,
    totp_window_failures BIGINT NOT NULL DEFAULT 0,
    totp_wait_until BIGINT,
    recovery_in_a_row BIGINT NOT NULL DEFAULT 0,
    recovery_window_started BIGINT,
    recovery_window_failures BIGINT NOT NULL DEFAULT 0,
    recovery_wait_until BIGINT,
    recovery_salt BYTEA,
    recovery_generated BIGINT,
    recovery_total BIGINT
);

CREATE TABLE authenticators (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES factors (user_id),
    name TEXT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('pending', 'active', 'disabled')),
    created BIGINT NOT NULL,
    last_used BIGINT,
    last_step BIGINT,
    confirm_failures BIGINT NOT NULL DEFAULT 0,
    key_id TEXT COLLATE "C" NOT NULL,
    secret BYTEA NOT NULL
);
CREATE INDEX authenticators_of_user ON authenticators (user_id);
CREATE INDEX authenticators_pending ON authenticators (created) WHERE status = 'pending';
CREATE INDEX authenticators_by_key ON authenticators (key_id);

CREATE TABLE recovery_codes (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES factors (user_id),
    number BIGINT NOT NULL,
    used BIGINT,
    key_id TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (user_id, number)
);
CREATE INDEX recovery_codes_by_key ON recovery_codes (key_id);

-- `id` is the digest of the session's name. `user_id` is empty while nobody is
-- known. `bucket` is the address that quotas count. `completed` holds names of
-- stages with spaces between. `seq` orders sessions by age.
CREATE TABLE uia_sessions (
    id BYTEA NOT NULL PRIMARY KEY,
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    user_id TEXT COLLATE "C" NOT NULL,
    bucket TEXT COLLATE "C" NOT NULL,
    binding BYTEA NOT NULL,
    completed TEXT COLLATE "C" NOT NULL,
    expires BIGINT NOT NULL,
    memo TEXT
);
CREATE INDEX uia_sessions_of_user ON uia_sessions (user_id, bucket);
CREATE INDEX uia_sessions_by_expiry ON uia_sessions (expires);

CREATE TABLE audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    actor TEXT NOT NULL,
    address TEXT,
    request_id TEXT,
    detail TEXT
);
CREATE INDEX audit_of_user ON audit (user_id, id);
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

CREATE TABLE accounts (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    password_hash TEXT,
    created BIGINT NOT NULL,
    deactivated BOOLEAN NOT NULL DEFAULT FALSE
);

-- A device has the tokens that were issued to it last: they begin and end with
-- the row, so there is no token without a device. All are digests. Until one of
-- these tokens is used, the refresh token that they were issued for still works:
-- the answer that carried them may have been lost.
CREATE TABLE devices (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (user_id),
    device_id TEXT COLLATE "C" NOT NULL,
    display_name TEXT,
    last_seen BIGINT,
    last_seen_ip TEXT,
    access_token BYTEA NOT NULL UNIQUE,
    access_expires BIGINT,
    refresh_token BYTEA UNIQUE,
    previous_refresh_token BYTEA UNIQUE,
    PRIMARY KEY (user_id, device_id)
);

CREATE TABLE login_tokens (
    token BYTEA NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX login_tokens_of_user ON login_tokens (user_id);
CREATE INDEX login_tokens_by_expiry ON login_tokens (expires);

CREATE TABLE cross_signing (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    keys TEXT NOT NULL
);

-- One row, raised to see whether the database can be written to.
CREATE TABLE probe (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    beats BIGINT NOT NULL
);
INSERT INTO probe (id, beats) VALUES (1, 0);
