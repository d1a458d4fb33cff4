//! What a document would be able to do if whoever reads it next did as it says.

use crate::budget::Refused;
use crate::envelope::classes;
use crate::place::Place;
use lockgate_authority::{
    CanonicalUrl, Decision, Grant, Host, PointKind, ReasonCode, Request, Subject, Usage, Value, authorize,
};

/// Most entries of one list; what comes then is only counted.
const MOST: usize = 1000;
/// Longest text of an entry that is told, in bytes.
const MOST_TEXT: usize = 2048;

/// Something that a document names, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// A JSON Pointer, or for what is no JSON `line 3` or `byte 12`.
    pub at: String,
    /// The name. Never the content of a secret.
    pub what: String,
}

/// What a document names, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// URLs and hosts, proxies among them.
    pub hosts: Vec<Named>,
    /// Tools that are called or offered.
    pub tools: Vec<Named>,
    /// Secrets that are asked for, and keys under which one seems to be written.
    pub secrets: Vec<Named>,
    /// Types, functions and templates that reading or using it would run.
    pub code: Vec<Named>,
    /// Models.
    pub models: Vec<Named>,
    /// Names of HTTP headers.
    pub headers: Vec<Named>,
    /// Listed types that it holds as objects.
    pub types: Vec<Named>,
    /// Files and directories.
    pub files: Vec<Named>,
    /// How many more there are than the lists hold.
    pub more: usize,
}

impl Capabilities {
    /// Looks through a document, whatever it is of.
    pub fn of(value: &Value) -> Capabilities {
        Survey::through(value, true)
    }

    /// What stands in the arguments of its objects; data beside them is left out.
    pub fn of_arguments(value: &Value) -> Capabilities {
        Survey::through(value, false)
    }

    /// The lists with their names, in the order in which they are shown.
    pub fn lists(&self) -> [(&'static str, &[Named]); 8] {
        [
            ("hosts", &self.hosts),
            ("tools", &self.tools),
            ("secrets", &self.secrets),
            ("code", &self.code),
            ("models", &self.models),
            ("headers", &self.headers),
            ("types", &self.types),
            ("files", &self.files),
        ]
    }

    /// Hosts that are known not to be public.
    pub fn private_hosts(&self) -> Vec<Refused> {
        let look = |named: &Named| match host(&named.what) {
            // Where its end is missing, so may be its host.
            _ if is_cut(named) => Some(refused(ReasonCode::UrlRefused, named)),
            Some(host) if host.is_known_private() => Some(refused(ReasonCode::PrivateAddress, named)),
            _ => None,
        };
        self.hosts.iter().filter_map(look).collect()
    }

    /// Headers that say where a request goes, or on whose authority.
    pub(crate) fn directing_headers(&self) -> Vec<Refused> {
        let directs = |named: &&Named| {
            let name = named.what.to_ascii_lowercase();
            DIRECTING.contains(&name.as_str()) || name.starts_with(':') || name.starts_with("proxy-")
        };
        let refused = |named: &Named| Refused {
            code: ReasonCode::KeyRefused,
            pointer: named.at.clone(),
            found: "a header that says where a request goes or on whose authority",
        };
        self.headers.iter().filter(directs).map(refused).collect()
    }

    /// Hosts that these grants do not let their holder reach at `now_ms`, whatever the method and the path.
    pub fn beyond(&self, grants: &[Grant], usage: &Usage, now_ms: u64) -> Vec<Refused> {
        let denied = |named: &Named| match CanonicalUrl::parse(&with_scheme(&named.what)) {
            Err(_) => Some(refused(ReasonCode::UrlRefused, named)),
            Ok(_) if is_cut(named) => Some(refused(ReasonCode::UrlRefused, named)),
            Ok(url) => {
                let subject = Subject::Url { url: &url, method: "GET" };
                let args = Value::EMPTY_MAP;
                let request = Request {
                    kind: PointKind::Http,
                    name: "",
                    op: "request",
                    subject,
                    args: &args,
                    bytes: 0,
                    now_ms,
                    seen: None,
                    approved: None,
                };
                match authorize(grants, &request, usage) {
                    Decision::Deny(denial) => match denial.code {
                        // The host is granted; what it is asked for is decided when it is asked.
                        ReasonCode::MethodNotGranted | ReasonCode::UrlPathNotGranted | ReasonCode::ApprovalRequired => {
                            None
                        }
                        ReasonCode::PointNotGranted => Some(refused(ReasonCode::HostNotGranted, named)),
                        code => Some(refused(code, named)),
                    },
                    _ => None,
                }
            }
        };
        self.hosts.iter().filter_map(denied).collect()
    }

    pub(crate) fn add(&mut self, list: fn(&mut Capabilities) -> &mut Vec<Named>, at: &str, what: &str) {
        if list(self).len() < MOST {
            let what = what.get(..what.floor_char_boundary(MOST_TEXT)).unwrap_or_default().to_owned();
            list(self).push(Named { at: at.to_owned(), what });
        } else {
            self.more += 1;
        }
    }
}

fn refused(code: ReasonCode, named: &Named) -> Refused {
    let found = match code {
        ReasonCode::PrivateAddress => "a host that is not public",
        ReasonCode::UrlRefused => "an address that cannot be granted",
        _ => "a host that is not granted",
    };
    Refused { code, pointer: named.at.clone(), found }
}

/// Whether the name may be longer than what is told of it.
fn is_cut(named: &Named) -> bool {
    // A character has at most four bytes, and is not cut in two.
    named.what.len() > MOST_TEXT - 4
}

fn with_scheme(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("https://{address}") }
}

/// The host of an address; addresses that are no URL of the web have none here.
fn host(address: &str) -> Option<Host> {
    if let Ok(url) = CanonicalUrl::parse(&with_scheme(address)) {
        return Some(url.host().clone());
    }
    let authority = address.split("://").nth(1)?.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    Host::parse(authority).or_else(|_| Host::parse(authority.rsplit_once(':').map_or(authority, |(host, _)| host))).ok()
}

/// Schemes of addresses that something would be fetched from or sent to.
const SCHEMES: &[&str] = &[
    "http",
    "https",
    "ws",
    "wss",
    "ftp",
    "ftps",
    "sftp",
    "ssh",
    "git",
    "s3",
    "gs",
    "ldap",
    "ldaps",
    "redis",
    "postgres",
    "postgresql",
    "mysql",
    "mongodb",
    "amqp",
];
/// Keys whose text is an address even without a scheme.
const ENDPOINTS: &[&str] = &[
    "base_url",
    "api_base",
    "openai_api_base",
    "azure_endpoint",
    "endpoint",
    "endpoint_url",
    "api_url",
    "server_url",
    "callback_url",
    "webhook",
    "webhook_url",
    "proxy",
    "openai_proxy",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "proxies",
];
/// Headers that say where a request goes, or on whose authority.
const DIRECTING: &[&str] =
    &["host", "forwarded", "x-forwarded-host", "x-original-url", "x-rewrite-url", "authorization", "cookie"];
const HEADERS: &[&str] = &["headers", "default_headers", "extra_headers"];
const MODELS: &[&str] = &["model", "model_name", "model_id", "deployment_name", "azure_deployment"];
const SECRETS: &[&str] = &[
    "api_key",
    "apikey",
    "access_token",
    "auth_token",
    "secret",
    "client_secret",
    "password",
    "private_key",
    "authorization",
];
/// Keys of maps whose every text is an address even without a scheme.
const PROXIES: &[&str] = &["proxies", "mounts"];
/// Templates in these languages only put values into a text.
const PLAIN_TEMPLATES: &[&str] = &["f-string", "mustache"];

struct Survey {
    place: Place,
    found: Capabilities,
    /// Whether what is found counts; outside of objects it may not.
    counts: bool,
}

impl Survey {
    fn through(value: &Value, counts: bool) -> Capabilities {
        let mut survey = Survey { place: Place::default(), found: Capabilities::default(), counts };
        survey.value(value);
        survey.found
    }

    fn add(&mut self, list: fn(&mut Capabilities) -> &mut Vec<Named>, what: &str) {
        let Survey { place, found, counts } = self;
        if *counts {
            found.add(list, place.pointer(), what);
        }
    }

    fn at(&mut self, key: &str, look: impl FnOnce(&mut Self)) {
        let here = self.place.enter(key);
        look(self);
        self.place.leave(here);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.text(text),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let here = self.place.enter_index(index);
                    self.value(item);
                    self.place.leave(here);
                }
            }
            Value::Map(entries) => self.map(entries, value),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        let Some((scheme, _)) = text.split_once("://") else { return };
        let scheme = scheme.to_ascii_lowercase();
        if SCHEMES.contains(&scheme.as_str()) {
            self.add(|found| &mut found.hosts, text);
        } else if scheme == "file" {
            self.add(|found| &mut found.files, text);
        }
    }

    fn map(&mut self, entries: &[(String, Value)], map: &Value) {
        let outside = self.counts;
        self.counts |= map.get("lc").is_some();
        self.object(map);
        self.tool(map);
        for (key, value) in entries {
            self.at(key, |survey| {
                survey.named(key, value);
                survey.value(value);
            });
        }
        self.counts = outside;
    }

    /// What a key says about its value.
    fn named(&mut self, key: &str, value: &Value) {
        let key = key.to_ascii_lowercase();
        let key = key.as_str();
        let is_secret = SECRETS.iter().any(|secret| key == *secret || key.ends_with(&format!("_{secret}")));
        match value {
            Value::Text(text) if ENDPOINTS.contains(&key) && !text.contains("://") => {
                self.add(|found| &mut found.hosts, text);
            }
            Value::Text(text) if MODELS.contains(&key) => self.add(|found| &mut found.models, text),
            Value::Text(text) if is_secret && !text.is_empty() => {
                self.add(|found| &mut found.secrets, "written in plain")
            }
            Value::Text(format) if key == "template_format" && !PLAIN_TEMPLATES.contains(&format.as_str()) => {
                self.add(|found| &mut found.code, &format!("templates of {format}"));
            }
            Value::Map(proxies) if PROXIES.contains(&key) => {
                for (name, proxy) in proxies {
                    let Some(proxy) = proxy.as_text().filter(|proxy| !proxy.contains("://")) else { continue };
                    self.at(name, |survey| survey.add(|found| &mut found.hosts, proxy));
                }
            }
            Value::Map(headers) if HEADERS.contains(&key) => {
                for (name, _) in headers {
                    self.at(name, |survey| survey.add(|found| &mut found.headers, name));
                }
            }
            _ => {}
        }
    }

    /// A map that says of itself that it is an object.
    fn object(&mut self, map: &Value) {
        if map.get("lc").is_none() {
            return;
        }
        let id = map.get("id").and_then(Value::as_list).unwrap_or_default();
        let path: Vec<&str> = id.iter().map(|part| part.as_text().unwrap_or("?")).collect();
        let path = path.join(".");
        match map.get("type").and_then(Value::as_text) {
            Some("secret") => self.add(|found| &mut found.secrets, &path),
            Some("constructor" | "not_implemented") if is_listed(&path) => self.add(|found| &mut found.types, &path),
            Some("constructor" | "not_implemented") => self.add(|found| &mut found.code, &path),
            _ => {}
        }
        if let Some(method) = map.get("method").filter(|method| **method != Value::Null) {
            let method = method.as_text().unwrap_or("?").to_owned();
            self.at("method", |survey| survey.add(|found| &mut found.code, &method));
        }
    }

    /// A tool that is called or offered, in the three ways in which agents say so.
    fn tool(&mut self, map: &Value) {
        let text = |key: &str| map.get(key).and_then(Value::as_text);
        let name = match (text("type"), text("method")) {
            (_, Some("tools/call")) => map.pointer("/params/name").and_then(Value::as_text),
            (Some("function"), _) => map.pointer("/function/name").and_then(Value::as_text).or(text("name")),
            (Some("tool_use" | "tool_call" | "invalid_tool_call" | "tool_call_chunk" | "function_call"), _) => {
                text("name")
            }
            _ if map.get("input_schema").or(map.get("inputSchema")).is_some() => text("name"),
            _ => None,
        };
        if let Some(name) = name {
            self.add(|found| &mut found.tools, name);
        }
    }
}

pub(crate) fn is_listed(path: &str) -> bool {
    classes().any(|class| class.paths().contains(&path))
}
