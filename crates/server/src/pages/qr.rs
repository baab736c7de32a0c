//! A QR code as an SVG picture that is part of the page.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};
use zeroize::Zeroizing;

/// The light border that readers need, in modules (ISO/IEC 18004 §6.3.8).
const QUIET: i32 = 4;

/// The QR code of a text, to be put into a page as it is. What it is, the page
/// has to say. `None` for a text that is too long for one.
pub(crate) fn svg(text: &str) -> Option<Zeroizing<String>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let size = code.size();
    let mut path = Zeroizing::new(String::with_capacity(32 * 1024));
    for y in 0..size {
        // A line per row, a dash per run of dark modules.
        write!(path, "M{QUIET},{}.5", y + QUIET).expect("invariant: a String takes all text");
        let mut x = 0;
        while x < size {
            let dark = code.get_module(x, y);
            let run = (x..size).take_while(|x| code.get_module(*x, y) == dark).count();
            let run = i32::try_from(run).unwrap_or(i32::MAX);
            let command = if dark { "h" } else { "m" };
            let down = if dark { "" } else { ",0" };
            write!(path, "{command}{run}{down}").expect("invariant: a String takes all text");
            x = x.saturating_add(run);
        }
    }
    let width = size + 2 * QUIET;
    Some(Zeroizing::new(format!(
        "<svg class=\"qr\" aria-hidden=\"true\" viewBox=\"0 0 {width} {width}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0,0h{width}v{width}H0z\"/>\
         <path stroke=\"#000\" d=\"{}\"/></svg>",
        path.as_str()
    )))
}
