use super::{ClockMode, Manifest, ManifestGrant, RandomMode, ServerNetwork, ServerWall, Source, tokens};
use crate::config::known::known_settings;
use crate::config::render::{Setting, limit_settings, one_or_list, section, settings, texts};
use crate::config::units;
use crate::label::LabelCaveat;
use toml::Value as Toml;

pub(super) fn manifest(manifest: &Manifest) -> String {
    let mut out = frame(manifest);
    for grant in &manifest.grants {
        section(&mut out, &grant.point.to_string(), &grant_settings(grant));
    }
    out
}

/// One section that grants a point.
pub(super) fn grant(grant: &ManifestGrant) -> String {
    let mut out = String::new();
    section(&mut out, &grant.point.to_string(), &grant_settings(grant));
    out
}

/// All that grants no point.
pub(super) fn frame(manifest: &Manifest) -> String {
    let mut out = format!("isolation = \"{}\"\n", manifest.isolation);
    if let Some(agent) = &manifest.agent {
        out.push_str(&format!("agent = {}\n", Toml::String(agent.clone())));
    }
    if !manifest.rules.is_empty() {
        out.push_str(&format!("rules = {}\n", one_or_list(&manifest.rules)));
    }
    let limits = limit_settings(&manifest.set_limits);
    if !limits.is_empty() {
        section(&mut out, "limits", &limits);
    }
    section(&mut out, "wall", &[("minimum".to_owned(), texts(manifest.walls.iter()))]);
    if let ClockMode::Frozen { at_ms } = manifest.clock {
        section(&mut out, "clock", &[text("mode", "frozen"), text("at", &units::display_time(at_ms))]);
    }
    if let RandomMode::Seeded { seed } = manifest.random {
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        section(&mut out, "random", &[text("mode", "seeded"), text("seed", &hex)]);
    }
    for (header, caveats) in [("program", &manifest.program), ("clearance", &manifest.clearance)] {
        if !caveats.is_empty() {
            let setting = |label: &LabelCaveat| (label.rule().key().to_owned(), texts(label.names()));
            section(&mut out, header, &caveats.iter().map(setting).collect::<Vec<_>>());
        }
    }
    let tokens = tokens::settings(&manifest.tokens);
    if !tokens.is_empty() {
        section(&mut out, "tokens", &tokens);
    }
    if let Some(asking) = manifest.asking {
        let wait = units::display_duration(asking.wait_ms);
        let mut settings = vec![text("by", "operator"), text("wait", &wait)];
        settings.extend(asking.elicit.then(|| ("elicit".to_owned(), Toml::Boolean(true))));
        section(&mut out, "approval", &settings);
    }
    out
}

/// What stands behind the point, then what is permitted.
pub(super) fn grant_settings(grant: &ManifestGrant) -> Vec<Setting> {
    let mut out = match &grant.source {
        Source::Directory(path) => vec![text("path", path)],
        Source::Url(url) => vec![text("url", url.as_str())],
        Source::Command(command) => {
            let mut out = vec![("command".to_owned(), texts(&command.command))];
            if !command.env.is_empty() {
                let env = command.env.iter().map(|(name, value)| (name.clone(), Toml::String(value.clone())));
                out.push(("env".to_owned(), Toml::Table(env.collect())));
            }
            out.extend(command.directory.as_deref().map(|directory| text("directory", directory)));
            out.extend(wall_settings(command.wall.as_ref()));
            out
        }
        Source::Receipt { point, manifest } => {
            let hex: String = manifest.iter().map(|byte| format!("{byte:02x}")).collect();
            vec![(
                "receipt".to_owned(),
                Toml::Table([text("point", point), text("manifest", &hex)].into_iter().collect()),
            )]
        }
        Source::Name => Vec::new(),
    };
    out.extend(settings(grant.point.kind, &grant.ops, &grant.caveats));
    out.extend(known_settings(&grant.known));
    out
}

/// What a tool server's wall lets through; nothing where it is the strictest.
fn wall_settings(wall: Option<&ServerWall>) -> Vec<Setting> {
    let Some(wall) = wall else { return vec![text("wall", "none")] };
    let mut out = Vec::new();
    for (key, paths) in [("reads", &wall.reads), ("writes", &wall.writes)] {
        if !paths.is_empty() {
            out.push((key.to_owned(), texts(paths)));
        }
    }
    match &wall.network {
        ServerNetwork::None => {}
        ServerNetwork::Ports(ports) => {
            let ports = ports.iter().map(|port| Toml::Integer(i64::from(*port)));
            out.push(("connect".to_owned(), Toml::Array(ports.collect())));
        }
        ServerNetwork::Any => out.push(("network".to_owned(), Toml::Boolean(true))),
    }
    if wall.scratch {
        out.push(("scratch".to_owned(), Toml::Boolean(true)));
    }
    out
}

fn text(key: &str, value: &str) -> Setting {
    (key.to_owned(), Toml::String(value.to_owned()))
}
