//! Characters by which text of others can show something else than it holds.

/// Whether a reader sees nothing of a character, or something else than it is: control characters, those that take no room, those that
/// turn the order of what stands around them or break a line, selectors of a variation, tags, private use and what no font has.
/// Spaces of other widths are seen as spaces, and are not among them.
pub fn is_unseen(next: char) -> bool {
    next.is_control()
        || matches!(
            next,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}'
                | '\u{fffe}' | '\u{ffff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}'
        )
}
