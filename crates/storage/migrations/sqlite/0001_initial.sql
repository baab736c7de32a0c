-- Times are milliseconds since the Unix epoch. Digests are SHA-256.

-- The anchor of everything about a user's second factors. Whoever changes any
-- of it, or the password, raises `version`, and a decision holds only for the
-- version it was made on. A user without a row is at version zero; every account
-- has one. A row is never deleted: its version must not begin again.
CREATE TABLE factors (
    user_id TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    totp_in_a_row INTEGER NOT NULL DEFAULT 0,
    totp_window_started INTEGER,
    totp_window_failures INTEGER NOT NULL DEFAULT 0,
    totp_wait_until INTEGER,
    recovery_in_a_row INTEGER NOT NULL DEFAULT 0,
    recovery_window_started INTEGER,
    recovery_window_failures INTEGER NOT NULL DEFAULT 0,
    recovery_wait_until INTEGER,
    recovery_salt BLOB,
    recovery_generated INTEGER,
    recovery_total INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE authenticators (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES factors (user_id),
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'disabled')),
    created INTEGER NOT NULL,
    last_used INTEGER,
    last_step INTEGER,
    confirm_failures INTEGER NOT NULL DEFAULT 0,
    key_id TEXT NOT NULL,
    secret BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX authenticators_of_user ON authenticators (user_id);
CREATE INDEX authenticators_pending ON authenticators (created) WHERE status = 'pending';
CREATE INDEX authenticators_by_key ON authenticators (key_id);

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES factors (user_id),
    number INTEGER NOT NULL,
    used INTEGER,
    key_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (user_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX recovery_codes_by_key ON recovery_codes (key_id);

-- `id` is the digest of the session's name. `user_id` is empty while nobody is
-- known. `bucket` is the address that quotas count. `completed` holds names of
-- stages with spaces between. `seq` orders sessions by age.
CREATE TABLE uia_sessions (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    bucket TEXT NOT NULL,
    binding BLOB NOT NULL,
    completed TEXT NOT NULL,
    expires INTEGER NOT NULL,
    memo TEXT
) STRICT;
CREATE INDEX uia_sessions_of_user ON uia_sessions (user_id, bucket);
CREATE INDEX uia_sessions_by_expiry ON uia_sessions (expires);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT,
    request_id TEXT,
    detail TEXT
) STRICT;
CREATE INDEX audit_of_user ON audit (user_id, id);
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_updated BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE accounts (
    user_id TEXT NOT NULL PRIMARY KEY,
    password_hash TEXT,
    created INTEGER NOT NULL,
    deactivated INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- A device has the tokens that were issued to it last: they begin and end with
-- the row, so there is no token without a device. All are digests. Until one of
-- these tokens is used, the refresh token that they were issued for still works:
-- the answer that carried them may have been lost.
CREATE TABLE devices (
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    device_id TEXT NOT NULL,
    display_name TEXT,
    last_seen INTEGER,
    last_seen_ip TEXT,
    access_token BLOB NOT NULL UNIQUE,
    access_expires INTEGER,
    refresh_token BLOB UNIQUE,
    previous_refresh_token BLOB UNIQUE,
    PRIMARY KEY (user_id, device_id)
) STRICT;

CREATE TABLE login_tokens (
    token BLOB NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX login_tokens_of_user ON login_tokens (user_id);
CREATE INDEX login_tokens_by_expiry ON login_tokens (expires);

CREATE TABLE cross_signing (
    user_id TEXT NOT NULL PRIMARY KEY,
    keys TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row, raised to see whether the database can be written to.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    beats INTEGER NOT NULL
) STRICT;
INSERT INTO probe (id, beats) VALUES (1, 0);
