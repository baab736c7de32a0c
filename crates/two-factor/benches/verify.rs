//! What one check costs: a code, a code against five authenticators, and a
//! recovery code.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use myelin_ambient::{Entropy, SeededEntropy, Timestamp};
use myelin_two_factor::{
    AuthenticatorId, Digits, RecoveryCode, RecoverySalt, TotpParameters, TotpSecret, TotpToken,
    limits::MAX_ACTIVE_AUTHENTICATORS, recovery, totp,
};

/// Some moment.
const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn totp_benches(criterion: &mut Criterion) {
    let entropy = SeededEntropy::new(1);
    let parameters = TotpParameters::default();
    let owned: Vec<_> = (0..MAX_ACTIVE_AUTHENTICATORS)
        .map(|_| (AuthenticatorId::generate(&entropy), TotpSecret::generate(&entropy)))
        .collect();
    let candidates: Vec<_> = owned.iter().map(|(id, secret)| (id, secret, None)).collect();
    let (_, secret, _) = candidates[0];
    let token = TotpToken::generate(secret, parameters.step_at(NOW), &parameters);

    criterion.bench_function("read a token", |bencher| {
        bencher.iter(|| TotpToken::parse(black_box("123 456"), Digits::default()));
    });
    criterion.bench_function("verify one code, window of three steps", |bencher| {
        bencher.iter(|| totp::verify(secret, black_box(&token), &parameters, NOW, None));
    });
    criterion.bench_function("verify against five authenticators", |bencher| {
        bencher.iter(|| totp::verify_any(&candidates, black_box(&token), &parameters, NOW));
    });
}

fn recovery_benches(criterion: &mut Criterion) {
    let entropy: &dyn Entropy = &SeededEntropy::new(1);
    let code = RecoveryCode::generate(entropy);
    let salt = RecoverySalt::generate(entropy);
    let set = recovery::generate_set(entropy);
    let unused: Vec<_> = (0..).zip(set.hashes()).collect();
    let hash = code.hash(&salt);

    criterion.bench_function("hash a recovery code", |bencher| {
        bencher.iter(|| black_box(&code).hash(&salt));
    });
    criterion.bench_function("find a hash among ten", |bencher| {
        bencher.iter(|| recovery::find(black_box(&hash), &unused));
    });
    let mut slow = criterion.benchmark_group("slow");
    slow.sample_size(10);
    slow.bench_function("hash a set of ten recovery codes", |bencher| {
        bencher.iter(|| black_box(&set).hashes());
    });
    slow.finish();
}

criterion_group!(benches, totp_benches, recovery_benches);
criterion_main!(benches);
