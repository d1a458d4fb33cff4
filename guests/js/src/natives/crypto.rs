//! Randomness from the host's seed, and digests.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::engine::{Args, Js, Value};
use crate::guest::Guest;

/// Where a cell's randomness comes from: ChaCha20 over the seed that the host gave, made when it is first asked.
#[derive(Default)]
pub struct Random {
    seed: [u8; 32],
    generator: Option<ChaCha20Rng>,
}

impl Random {
    /// The generator of this seed, from its start.
    pub fn new(seed: [u8; 32]) -> Random {
        Random { seed, generator: None }
    }

    /// Fills `out` with the next bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.generator.get_or_insert_with(|| ChaCha20Rng::from_seed(self.seed)).fill_bytes(out);
    }
}

/// `Math.random()`: 53 bits, in [0, 1).
pub fn random(args: &Args) -> Js<Value> {
    let mut bytes = [0; 8];
    Guest::of(args.ctx)?.random.borrow_mut().fill(&mut bytes);
    let bits = u64::from_le_bytes(bytes) >> 11;
    Ok(args.ctx.number(bits as f64 / (1u64 << 53) as f64))
}

/// Fills a `Uint8Array`.
pub fn fill(args: &Args) -> Js<Value> {
    let target = args.get(0);
    let guest = Guest::of(args.ctx)?;
    target.with_bytes_mut(|bytes| guest.random.borrow_mut().fill(bytes))?;
    Ok(target)
}

/// The digest of a `Uint8Array` as another; `undefined` for an unknown algorithm.
pub fn digest(args: &Args) -> Js<Value> {
    let name = args.text(0)?;
    let sum = args.get(1).with_bytes(|bytes| match name.as_str() {
        "SHA-1" => Some(Sha1::digest(bytes).to_vec()),
        "SHA-256" => Some(Sha256::digest(bytes).to_vec()),
        "SHA-384" => Some(Sha384::digest(bytes).to_vec()),
        "SHA-512" => Some(Sha512::digest(bytes).to_vec()),
        _ => None,
    })?;
    match sum {
        Some(sum) => args.ctx.bytes(&sum),
        None => Ok(args.ctx.undefined()),
    }
}
