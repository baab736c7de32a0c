//! A QR code as an SVG picture that is part of the page.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};
use zeroize::Zeroizing;

/// The light border that readers need, in modules (ISO/IEC 18004 §6.3.8).
const QUIET: i32 = 4;

/// The QR code of a text, to be put into a page as it is; `label` is read to
/// whoever does not see it, and must not need to be escaped. `None` for a text
/// that is too long for one.
pub(crate) fn svg(text: &str, label: &'static str) -> Option<Zeroizing<String>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let size = code.size();
    let mut path = Zeroizing::new(String::with_capacity(64 * 1024));
    for y in 0..size {
        let mut x = 0;
        while x < size {
            let run = (x..size).take_while(|x| code.get_module(*x, y)).count();
            let run = i32::try_from(run).unwrap_or(i32::MAX);
            if run > 0 {
                write!(path, "M{},{}h{run}v1h-{run}z", x + QUIET, y + QUIET)
                    .expect("invariant: a String takes all text");
            }
            x += run.max(1);
        }
    }
    let width = size + 2 * QUIET;
    Some(Zeroizing::new(format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {width} {width}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0,0h{width}v{width}H0z\"/>\
         <path d=\"{}\"/></svg>",
        path.as_str()
    )))
}
