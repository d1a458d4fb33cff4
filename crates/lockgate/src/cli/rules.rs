//! `lockgate rules`.

use super::Done;
use super::output::{DIM, GREEN, Trouble, YELLOW, one_line, paint, print_json, terminal};
use super::streams::{self, Page};
use super::vouching::{Given, Vouching};

use lockgate_host::{rule_points, rule_text, rule_texts};
use lockgate_rules::{Points, Rule, RuleError, RuleErrors, RuleText, Rules, Tools};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The subcommands of `rules`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Check rules against a manifest: every mistake with its line and what to write instead
    #[command(after_help = "\
Examples:
  lockgate rules check --manifest lockgate.toml
  lockgate rules check --manifest lockgate.toml draft.cedar --offline

What a rule probably does not mean (a name that nobody has, child cells that it does not reach) is a warning.

Exit status: 0 the rules can be used, 2 they cannot.")]
    Check {
        #[command(flatten)]
        of: Of,
        /// Files of rules; those that the manifest names, unless given
        #[arg(value_name = "RULES")]
        files: Vec<PathBuf>,
    },
    /// Print what rules of a manifest can name, as a Cedar schema
    Schema {
        #[command(flatten)]
        of: Of,
    },
}

/// Whose rules.
#[derive(clap::Args)]
struct Of {
    /// The manifest (`lockgate.toml`) whose points the rules concern
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    #[command(flatten)]
    vouching: Vouching,
    /// Do not start the manifest's tool servers; what their tools take is not known then
    #[arg(long)]
    offline: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            Command::Check { of, .. } | Command::Schema { of } => of.json,
        }
    }
}

pub(crate) fn rules(arguments: &Arguments) -> Done {
    match &arguments.command {
        Command::Check { of, files } => check(of, files),
        Command::Schema { of } => schema(of),
    }
}

fn check(of: &Of, files: &[PathBuf]) -> Done {
    let given = of.given()?;
    let texts = match files {
        [] => rule_texts(given.manifest(), given.base())?,
        files => files.iter().map(|file| rule_text(file)).collect::<Result<_, _>>()?,
    };
    if texts.is_empty() {
        return Err(Trouble::usage(format!("the manifest `{}` names no rules", of.manifest.display()))
            .hint("name a file in it with `rules = \"rules.cedar\"`, or give one after the command"));
    }
    let rules = Rules::load(texts, &of.points(&given)?)?;
    if of.json {
        print_json(&json!({"ok": true, "value": as_json(&rules)}))?;
    } else {
        streams::page(|page| tell(page, &rules))?;
        for doubt in rules.doubts() {
            streams::note(&format!("{} {}", paint("warning", YELLOW), terminal(&one_line(&doubt.to_string()))));
            if let Some(hint) = &doubt.hint {
                streams::note(&format!("{}    {}", paint("hint", DIM), terminal(&one_line(hint))));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn schema(of: &Of) -> Done {
    let schema = of.points(&of.given()?)?.schema();
    if of.json {
        print_json(&json!({"ok": true, "value": {"schema": schema}}))?;
    } else {
        streams::page(|page| write!(page, "{}", terminal(&schema)))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Of {
    /// Without its servers a manifest is only looked at.
    fn given(&self) -> Result<Given, Trouble> {
        if self.offline { Given::looked_at(&self.manifest) } else { self.vouching.given(&self.manifest) }
    }

    fn points(&self, given: &Given) -> Result<Points, Trouble> {
        if self.offline {
            return Ok(Points::of(given.manifest(), &Tools::new()));
        }
        Ok(rule_points(given.granted().map_err(|trouble| {
            trouble.hint("`--offline` starts none of its tool servers and needs no trust; or see `lockgate trust diff`")
        })?)?)
    }
}

/// The rules of a manifest for a question about it: its tool servers are started only where the rules speak of what tools
/// take, and only where the manifest is trusted. `None` where it names none.
pub(crate) fn of_manifest(given: &Given) -> Result<Option<Rules>, Trouble> {
    let manifest = given.manifest();
    if manifest.rules().is_empty() {
        return Ok(None);
    }
    let texts = rule_texts(manifest, given.base())?;
    match Rules::load(texts.clone(), &Points::of(manifest, &Tools::new())) {
        Ok(rules) => Ok(Some(rules)),
        Err(_) => Ok(Some(Rules::load(texts, &rule_points(given.granted()?)?)?)),
    }
}

/// The rules by the operation that they concern, each in its order.
fn by_operation(rules: &Rules) -> BTreeMap<&str, Vec<&Rule>> {
    let mut found: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    for rule in rules.rules() {
        for operation in &rule.concerns {
            found.entry(operation).or_default().push(rule);
        }
    }
    found
}

fn as_json(rules: &Rules) -> Json {
    let file = |text: &RuleText| {
        let digest: String = text.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"file": text.file, "sha256": digest})
    };
    let rule = |rule: &Rule| {
        json!({
            "id": rule.id, "reason": rule.reason, "ask": rule.ask,
            "file": rule.file, "line": rule.place.line, "concerns": rule.concerns,
        })
    };
    let counts: Map<String, Json> =
        by_operation(rules).into_iter().map(|(operation, rules)| (operation.to_owned(), json!(rules.len()))).collect();
    json!({
        "files": rules.texts().iter().map(file).collect::<Vec<_>>(),
        "rules": rules.rules().iter().map(rule).collect::<Vec<_>>(),
        "operations": counts,
        "warnings": rules.doubts().iter().map(problem).collect::<Vec<_>>(),
    })
}

fn tell(page: &mut Page<'_>, rules: &Rules) -> io::Result<()> {
    /// Most rules that one line names.
    const MOST: usize = 8;
    let asks = rules.rules().iter().filter(|rule| rule.ask.is_some()).count();
    let count = rules.rules().len();
    writeln!(page, "{} {count} rules, of which {asks} ask", paint("good", GREEN))?;
    for (operation, rules) in by_operation(rules) {
        let name = |rule: &&Rule| if rule.ask.is_some() { format!("{} (asks)", rule.id) } else { rule.id.to_string() };
        let mut names: Vec<String> = rules.iter().take(MOST).map(name).collect();
        if rules.len() > MOST {
            names.push(format!("and {} more", rules.len() - MOST));
        }
        let count = paint(&format!("{:>4}", rules.len()), DIM);
        writeln!(page, "{count}  {}: {}", terminal(operation), terminal(&names.join(", ")))?;
    }
    Ok(())
}

/// One thing that is wrong, or doubtful.
fn problem(error: &RuleError) -> Json {
    json!({
        "file": error.file,
        "line": error.place.map(|place| place.line),
        "column": error.place.map(|place| place.column),
        "message": error.message,
        "hint": error.hint,
    })
}

impl From<RuleErrors> for Trouble {
    fn from(errors: RuleErrors) -> Trouble {
        let problems: Vec<Json> = errors.0.iter().map(problem).collect();
        let mut fields = Map::new();
        if let Some(first) = errors.0.first() {
            fields.insert("file".to_owned(), json!(first.file));
            fields.insert("line".to_owned(), json!(first.place.map(|place| place.line)));
            fields.insert("column".to_owned(), json!(first.place.map(|place| place.column)));
        }
        fields.insert("problems".to_owned(), Json::Array(problems));
        let (message, details, hint) = match &errors.0[..] {
            [one] => (one.to_string(), Vec::new(), one.hint.clone()),
            many => {
                let details = errors.with_hints().lines().map(str::to_owned).collect();
                let hint =
                    "`lockgate rules schema` shows what rules can name, `lockgate rules check` tries a file".to_owned();
                (format!("the rules have {} problems", many.len()), details, Some(hint))
            }
        };
        Trouble { fields, details, hint, ..Trouble::usage(message) }
    }
}
