//! `cargo run --example seal_seeds -- seeds/seal` writes the seeds of the target `seal`: always the same ones.

use lockgate_decode::{SealHeader, SealKey, SealPlace, Sealed};
use lockgate_fuzz::oracles;
use std::path::PathBuf;

fn main() {
    let directory = PathBuf::from(std::env::args().nth(1).expect("a directory"));
    std::fs::create_dir_all(&directory).expect("a directory");
    let write = |name: &str, bytes: &[u8]| {
        oracles::seal(bytes);
        std::fs::write(directory.join(name), bytes).expect("a seed");
    };
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let header = SealHeader {
        writer: "a".to_owned(),
        readers: names(&["b", "c"]),
        session: [1; 16],
        manifest: [2; 32],
        place: SealPlace::of(&[b"fs", b"/state/run.json"]),
        shown: "fs.state:run.json".to_owned(),
        counter: 300,
        label_writers: names(&["web"]),
        label_readers: Some(names(&["finance"])),
    };
    let keys = oracles::seal_keys();
    let seal = |content: &[u8], header: &SealHeader, key: &SealKey| {
        Sealed::seal(content, header, key, [9; 24]).expect("a seal").into_bytes()
    };
    let whole = seal(br#"{"lc": 1}"#, &header, keys.newest());
    let plain = SealHeader { readers: Vec::new(), label_writers: Vec::new(), label_readers: None, ..header.clone() };
    write("whole", &whole);
    write("empty", &seal(b"", &plain, keys.newest()));
    write("other_key", &seal(b"x", &header, &SealKey::from_random([8; 32])));
    write("cut", &whole[..whole.len() - 1]);
    write("plain", br#"{"lc": 1}"#);
}
