//! The server as its clients meet it: the router in process, on every
//! database, under a clock that stands still until a test moves it.

mod kit;

mod app_passwords;
mod audit;
mod challenges;
mod clock;
mod contract;
mod discovery;
mod drift;
mod enrolment;
mod enumeration;
mod failing_closed;
mod flood;
mod gateway;
mod gateway_faults;
mod guesses;
mod http2;
mod http_forms;
mod lockout;
mod malformed;
mod order;
mod pages_account;
mod pages_account_attacks;
mod pages_attacks;
mod pages_fallback;
mod pages_kit;
mod pages_sign_in;
mod paths;
mod policy;
mod races;
mod reading;
mod recovery;
mod removal;
mod replay;
mod sessions;
mod throttle;
mod two_instances;
mod void_sessions;
mod wrong_passwords;
