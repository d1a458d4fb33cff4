//! What an operator is shown. Everything in it may be another's text: it begins no line of ours and hides nothing.

use crate::cli::output::{CYAN, DIM, GREEN, RED, YELLOW, one_line, paint, terminal};
use lockgate_trust::{PointReport, Report, Signature, State};
use std::io::{self, Write};

/// The whole report, or what of it is not trusted.
pub(super) fn report(page: &mut impl Write, report: &Report, all: bool) -> io::Result<()> {
    head(page, report)?;
    let told = report.points.iter().filter(|point| all || point.state != State::Trusted);
    told.into_iter().try_for_each(|point| tell(page, point, all))?;
    gone(page, report)?;
    if report.is_whole() {
        writeln!(page, "{}", paint("all of it is trusted", GREEN))?;
    }
    writeln!(page, "{}  {}", paint("digest of this report", DIM), report.digest())
}

/// A line for each point.
pub(super) fn states(page: &mut impl Write, report: &Report) -> io::Result<()> {
    report.points.iter().try_for_each(|point| writeln!(page, "{} {}", state(point.state), safe(&point.name)))?;
    gone(page, report)
}

fn head(page: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(page, "{}  {}", paint("manifest ", CYAN), safe(&report.path))?;
    writeln!(page, "{}  {}", paint("sha256   ", CYAN), report.sha256)?;
    let signature = match &report.signature {
        Signature::None => None,
        Signature::Publisher { name, key } => Some(format!("by {}, {key}", safe(name))),
        Signature::Unknown { key } => Some(format!("by a key that is not named here, {key}")),
        Signature::Wrong => Some(paint("there is a signature, and not one of these bytes", RED)),
    };
    if let Some(signature) = signature {
        writeln!(page, "{}  {signature}", paint("signature", CYAN))?;
    }
    if report.replaced {
        writeln!(
            page,
            "{}",
            paint("another directory stood here when something was approved; that counts for nothing", RED)
        )?;
    }
    Ok(())
}

fn gone(page: &mut impl Write, report: &Report) -> io::Result<()> {
    report.gone.iter().try_for_each(|name| writeln!(page, "{} {}", paint("gone     ", DIM), safe(name)))
}

fn tell(page: &mut impl Write, point: &PointReport, all: bool) -> io::Result<()> {
    writeln!(page, "{} {}", state(point.state), safe(&point.name))?;
    let is_known = matches!(point.state, State::Changed | State::Trusted) && !all;
    if is_known {
        lines(page, "now also ", &point.now_also, YELLOW)?;
        lines(page, "no longer", &point.no_longer, DIM)?;
        lines(page, "changed  ", &point.keys, DIM)?;
    } else {
        lines(page, "         ", &point.reaches, DIM)?;
    }
    lines(page, "drift    ", &point.drift, RED)?;
    for file in &point.files {
        let digest = file.sha256.as_deref().map(|digest| format!("  sha256 {digest}")).unwrap_or_default();
        writeln!(page, "    {} {} `{}`{digest}", paint("leads to ", DIM), safe(&file.role), safe(&file.path))?;
    }
    if let Some(tools) = &point.tools {
        let server = point.server.as_deref().unwrap_or_default();
        let shown = cut(&tools.join(", "));
        writeln!(page, "    {} {}, {} tools: {}", paint("pinned   ", DIM), safe(server), tools.len(), safe(&shown))?;
    }
    Ok(())
}

fn lines(page: &mut impl Write, title: &str, lines: &[String], colour: &str) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(page, "    {} {}", paint(title, colour), safe(line)))
}

fn state(state: State) -> String {
    let colour = match state {
        State::Trusted => GREEN,
        State::Changed | State::Pending => YELLOW,
        State::Revoked => RED,
    };
    paint(&format!("{:<9}", state.as_str()), colour)
}

/// The beginning of a long list: `--json` has all of it.
fn cut(text: &str) -> String {
    const MOST: usize = 2_000;
    let cut = &text[..text.floor_char_boundary(MOST)];
    if cut.len() < text.len() { format!("{cut}…") } else { text.to_owned() }
}

fn safe(text: &str) -> String {
    terminal(&one_line(text))
}
