//! Who may connect: a file of clients, of which only digests of their tokens are kept, and of issuers whose signed tokens
//! are taken.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of the file, and of a file of keys.
const MOST_FILE: u64 = 1 << 20;
/// Bytes of a token.
const MOST_TOKEN: usize = 8 << 10;
/// What every token of a client begins with, so that one that lies around is recognised.
const PREFIX: &str = "lgc_";
/// Seconds by which the clocks of an issuer and the gate may differ.
const LEEWAY: u64 = 30;

/// The file as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientsFile {
    /// Clients with a token of their own.
    #[serde(default, rename = "client", skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<KnownClient>,
    /// Whose signed tokens are taken.
    #[serde(default, rename = "issuer", skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<Issuer>,
}

/// A client with a token of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownClient {
    /// To whom its calls are attributed.
    pub name: String,
    /// SHA-256 of its token, in hexadecimal digits.
    pub token_sha256: String,
    /// When the token ends, in seconds since the Unix epoch; never where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// An issuer of signed tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its URL, as `iss` in its tokens has it.
    pub iss: String,
    /// A file with its public keys as a JWK set, relative to this one. It is not fetched.
    pub jwks: PathBuf,
    /// What its tokens must name as `aud`; the gate's own URL where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The claim that names the client; `sub` where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
}

/// Why nobody can connect.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// There is nobody to serve.
    #[error("`{0}` names no client: nobody could connect")]
    Nobody(PathBuf),
    /// The file cannot be read.
    #[error("cannot read `{0}`: {1}")]
    Io(PathBuf, io::Error),
    /// Others could add clients.
    #[error("`{0}` can be written by others than its owner")]
    Open(PathBuf),
    /// The file says something that means nothing.
    #[error("`{0}`: {1}")]
    Malformed(PathBuf, String),
    /// The address cannot be had.
    #[error("cannot listen: {0}")]
    Address(io::Error),
}

/// Why a client is not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The file.
    #[error(transparent)]
    File(#[from] ClientsError),
    /// There is one of this name.
    #[error("there is a client `{0}` already")]
    Known(String),
    /// There is none of this name.
    #[error("there is no client `{0}`")]
    Unknown(String),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandom,
}

impl ClientsFile {
    /// Reads the file; an empty one where there is none.
    pub fn read(path: &Path) -> Result<ClientsFile, ClientsError> {
        let failed = |error| ClientsError::Io(path.to_owned(), error);
        let file = match OpenOptions::new().read(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ClientsFile::default()),
            Err(error) => return Err(failed(error)),
        };
        let data = file.metadata().map_err(failed)?;
        if data.mode() & 0o022 != 0 {
            return Err(ClientsError::Open(path.to_owned()));
        }
        let malformed = |what: String| ClientsError::Malformed(path.to_owned(), what);
        let mut text = String::new();
        file.take(MOST_FILE + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MOST_FILE {
            return Err(malformed(format!("it is larger than {MOST_FILE} bytes")));
        }
        let read: ClientsFile = toml::from_str(&text).map_err(|error| malformed(error.message().to_owned()))?;
        let mut names = HashSet::new();
        for client in &read.clients {
            if !lockgate_authority::Point::is_name(&client.name) {
                return Err(malformed(format!("`{}` is no name", client.name.escape_debug())));
            }
            if !names.insert(&client.name) {
                return Err(malformed(format!("`{}` stands in it twice", client.name)));
            }
            if client.token_sha256.len() != 64 || hex::decode(&client.token_sha256).is_err() {
                return Err(malformed(format!("`token_sha256` of `{}` is not 64 hexadecimal digits", client.name)));
            }
        }
        Ok(read)
    }

    /// Adds a client; gives its token, which is nowhere else.
    pub fn add(path: &Path, name: &str, until: Option<u64>) -> Result<String, AddError> {
        let mut file = ClientsFile::read(path)?;
        if file.clients.iter().any(|client| client.name == name) {
            return Err(AddError::Known(name.to_owned()));
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| AddError::NoRandom)?;
        let token = format!("{PREFIX}{}", hex::encode(secret));
        let token_sha256 = hex::encode(Sha256::digest(token.as_bytes()));
        file.clients.push(KnownClient { name: name.to_owned(), token_sha256, until });
        file.write(path)?;
        Ok(token)
    }

    /// Removes a client: its token is worth nothing from the next request on.
    pub fn remove(path: &Path, name: &str) -> Result<(), AddError> {
        let mut file = ClientsFile::read(path)?;
        let before = file.clients.len();
        file.clients.retain(|client| client.name != name);
        if file.clients.len() == before {
            return Err(AddError::Unknown(name.to_owned()));
        }
        Ok(file.write(path)?)
    }

    fn write(&self, path: &Path) -> Result<(), ClientsError> {
        let failed = |error| ClientsError::Io(path.to_owned(), error);
        let text =
            toml::to_string(self).map_err(|error| ClientsError::Malformed(path.to_owned(), error.to_string()))?;
        let text = format!("# Who may connect to the gate over HTTP; `lockgate client` writes it.\n\n{text}");
        if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        let beside = path.with_extension(format!("{}.part", std::process::id()));
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).and_then(
            |mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            },
        );
        written.and_then(|()| std::fs::rename(&beside, path)).map_err(failed)
    }
}

/// Whether a request's token is somebody's.
pub(crate) enum Verdict {
    /// The client's name.
    Is(String),
    /// Nobody's, with the error of RFC 6750, which is empty where there is no token.
    No { error: &'static str, message: &'static str },
}

/// Who may connect, as the file says it now.
pub(crate) struct Clients {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    stamp: Stamp,
    read: Arc<Read>,
    removed: Vec<String>,
}

/// By what it is seen that a file has changed.
type Stamp = Option<(u64, u64, i64, i64)>;

#[derive(Default)]
struct Read {
    by_token: BTreeMap<[u8; 32], (String, Option<u64>)>,
    issuers: Vec<(Issuer, JwkSet)>,
}

impl Clients {
    pub(crate) fn open(path: &Path) -> Result<Clients, ClientsError> {
        let read = Read::from(path)?;
        if read.by_token.is_empty() && read.issuers.is_empty() {
            return Err(ClientsError::Nobody(path.to_owned()));
        }
        let state = State { stamp: stamp(path), read: Arc::new(read), removed: Vec::new() };
        Ok(Clients { path: path.to_owned(), state: Mutex::new(state) })
    }

    pub(crate) fn issuers(&self) -> Vec<Issuer> {
        self.now().issuers.iter().map(|(issuer, _)| issuer.clone()).collect()
    }

    /// The names that were there before and are no longer; told once.
    pub(crate) fn removed(&self) -> Vec<String> {
        let _ = self.now();
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).removed)
    }

    /// Whose token it is, at the gate with this URL.
    pub(crate) fn check(&self, token: Option<&str>, url: &str) -> Verdict {
        const INVALID: &str = "invalid_token";
        let Some(token) = token else { return Verdict::No { error: "", message: "there is no token" } };
        let no = |message| Verdict::No { error: INVALID, message };
        if token.len() > MOST_TOKEN {
            return no("the token is too long");
        }
        let read = self.now();
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // Found by a digest: how long it takes says nothing of the token.
        match read.by_token.get(&digest) {
            Some((_, Some(until))) if *until <= now() => return no("the token has ended"),
            Some((name, _)) => return Verdict::Is(name.clone()),
            None => {}
        }
        match read.issuers.is_empty() || token.starts_with(PREFIX) {
            true => no("the token is nobody's"),
            false => read.signed(token, url).map_or_else(no, Verdict::Is),
        }
    }

    /// What the file says now. One that cannot be read any more lets nobody in.
    fn now(&self) -> Arc<Read> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path);
        if stamp != state.stamp {
            let read = Read::from(&self.path).unwrap_or_default();
            let names =
                |read: &Read| -> HashSet<String> { read.by_token.values().map(|(name, _)| name.clone()).collect() };
            let left = names(&read);
            let gone: Vec<String> = names(&state.read).into_iter().filter(|name| !left.contains(name)).collect();
            state.removed.extend(gone);
            state.read = Arc::new(read);
            state.stamp = stamp;
        }
        Arc::clone(&state.read)
    }
}

impl Read {
    fn from(path: &Path) -> Result<Read, ClientsError> {
        let file = ClientsFile::read(path)?;
        let mut read = Read::default();
        for client in file.clients {
            let mut digest = [0; 32];
            // It was looked at when the file was read.
            if hex::decode_to_slice(&client.token_sha256, &mut digest).is_ok() {
                read.by_token.insert(digest, (client.name, client.until));
            }
        }
        for issuer in file.issuers {
            let keys = path.parent().unwrap_or(Path::new(".")).join(&issuer.jwks);
            let failed = |error| ClientsError::Io(keys.clone(), error);
            let mut text = String::new();
            std::fs::File::open(&keys)
                .and_then(|file| file.take(MOST_FILE).read_to_string(&mut text))
                .map_err(failed)?;
            let set: JwkSet = serde_json::from_str(&text)
                .map_err(|error| ClientsError::Malformed(keys.clone(), format!("no JWK set: {error}")))?;
            read.issuers.push((issuer, set));
        }
        Ok(read)
    }

    /// The client of a signed token: by a known issuer, for this gate, in time.
    fn signed(&self, token: &str, url: &str) -> Result<String, &'static str> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| "the token is nobody's")?;
        // Only what is signed by a key of which the gate has the public half.
        if !matches!(
            header.alg,
            Algorithm::EdDSA
                | Algorithm::ES256
                | Algorithm::ES384
                | Algorithm::RS256
                | Algorithm::RS384
                | Algorithm::RS512
                | Algorithm::PS256
                | Algorithm::PS384
                | Algorithm::PS512
        ) {
            return Err("the token is not signed by a public key's owner");
        }
        let mut why = "the token's key is not known";
        for (issuer, keys) in &self.issuers {
            for key in &keys.keys {
                if header.kid.is_some() && key.common.key_id != header.kid {
                    continue;
                }
                // A key is for its own algorithm, whatever the token says.
                let named = key.common.key_algorithm.map(|named| Algorithm::from_str(&named.to_string()));
                if named.is_some_and(|named| named.ok() != Some(header.alg)) {
                    continue;
                }
                let Ok(public) = DecodingKey::from_jwk(key) else { continue };
                let mut rules = Validation::new(header.alg);
                rules.leeway = LEEWAY;
                rules.validate_nbf = true;
                rules.set_issuer(&[&issuer.iss]);
                rules.set_audience(&[issuer.audience.as_deref().unwrap_or(url)]);
                rules.set_required_spec_claims(&["exp", "iss", "aud"]);
                match jsonwebtoken::decode::<serde_json::Value>(token, &public, &rules) {
                    Ok(decoded) => {
                        let claim = issuer.claim.as_deref().unwrap_or("sub");
                        let name = decoded.claims.get(claim).and_then(serde_json::Value::as_str);
                        return name
                            .filter(|name| lockgate_authority::Point::is_name(name))
                            .map(str::to_owned)
                            .ok_or("the token names no client");
                    }
                    Err(error) => why = reason(error.kind(), why),
                }
            }
        }
        Err(why)
    }
}

fn reason(kind: &jsonwebtoken::errors::ErrorKind, before: &'static str) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match kind {
        ErrorKind::ExpiredSignature => "the token has ended",
        ErrorKind::ImmatureSignature => "the token has not begun",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::InvalidIssuer => "the token's issuer is not known",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks `exp`, `iss` or `aud`",
        ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Json(_) | ErrorKind::Utf8(_) => {
            "the token cannot be read"
        }
        ErrorKind::InvalidSignature => "the token's signature is not its issuer's",
        _ => before,
    }
}

fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.ino(), data.len(), data.mtime(), data.mtime_nsec()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
