//! `cargo run --example token_seeds -- seeds/token` writes the seeds of the target `token`: always the same ones.

use lockgate_authority::{Caveat, Point, PointKind, Principal, PrincipalKind, Terms, Value};
use lockgate_fuzz::oracles;
use lockgate_fuzz::oracles::root;
use lockgate_token::{Claim, Head, Proof, SecretKey, Seed, Statement, Token};
use std::path::PathBuf;

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(Seed::from_random([number; 32]))
}

fn fresh(number: u8) -> Seed {
    Seed::from_random([100 + number; 32])
}

fn token(kind: PointKind, name: &str, settings: &str) -> Token {
    let head = Head {
        point: Point::new(kind, name),
        issuer: Principal::new(PrincipalKind::Operator, "alice"),
        holder: key(2).public(),
        not_before_ms: None,
        terms: Terms::from_settings(kind, settings).expect("terms"),
    };
    Token::create(&root(), head, fresh(0)).expect("a token")
}

fn main() {
    let directory = PathBuf::from(std::env::args().nth(1).expect("a directory"));
    std::fs::create_dir_all(&directory).expect("a directory");
    let write = |name: &str, bytes: &[u8]| {
        oracles::token(bytes);
        std::fs::write(directory.join(name), bytes).expect("a seed");
    };
    let data = token(PointKind::Fs, "data", "allow = [\"read\", \"list\"]\nunder = [\"a\", \"b/c\"]\nbytes = \"1MiB\"");
    let calls = |most| Terms::new(PointKind::Fs, None, vec![Caveat::Calls(most)]).expect("terms");
    let less = data.attenuate(calls(9), fresh(1)).expect("a block");
    let handed = less.hand_on(&key(2), key(3).public(), calls(8), fresh(2)).expect("a block");
    let back = handed.hand_on(&key(3), key(2).public(), calls(7), fresh(3)).expect("a block");
    let host = token(
        PointKind::Http,
        "api",
        "hosts = [\"*.example.org\"]\nmethods = [\"GET\"]\nuntil = \"2090-01-01T00:00:00Z\"",
    );
    let tool = token(PointKind::Tool, "mail", "tools = [\"send\"]\n[where.send]\nto = { max_length = 9 }");
    let cell = token(PointKind::Cell, "cell", "children = 2\ndepth = 1");
    for (name, token) in [
        ("fs", &data),
        ("less", &less),
        ("handed", &handed),
        ("back", &back),
        ("http", &host),
        ("tool", &tool),
        ("cell", &cell),
    ] {
        write(name, token.as_bytes());
    }
    write("text", back.to_text().as_bytes());
    let claim = Claim { point: &data.head().point, op: "read", args: &Value::EMPTY_MAP, audience: root().public() };
    write("proof", Proof::make(&key(2), &data, &claim, 1, [0; 16]).to_text().as_bytes());
    write("file", Statement::of_file(&root(), b"text", 1).to_text().as_bytes());
    write("successor", Statement::of_successor(&root(), key(4).public(), 1).to_text().as_bytes());
    write("revoked", Statement::of_revoked(&root(), data.id(), 1).to_text().as_bytes());
    write("public", key(2).public().to_string().as_bytes());
    write("secret", key(2).to_secret_text("a seed").as_bytes());
    write("agents", format!("[agents.bob]\nkey = \"{}\"\n", key(2).public()).as_bytes());
}
