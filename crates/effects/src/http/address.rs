use super::Reach;
use crate::EffectError;
use lockgate_authority::{Host, ReasonCode, is_private};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Addresses of one name that are tried, in the system's order of preference. All are checked.
const TRIED: usize = 8;

/// The addresses to connect to, each of them checked.
///
/// The lookup runs on a thread of its own and holds a place in both semaphores until it ends, even when the caller
/// has given up: the system's resolver cannot be interrupted.
pub(super) async fn resolve(
    host: &Host,
    port: u16,
    reach: Reach,
    lookups: [&Arc<Semaphore>; 2],
) -> Result<Vec<SocketAddr>, EffectError> {
    let name = match host {
        Host::Ip(address) => {
            check(*address, reach).map_err(|()| refused(format!("`{host}` is not a public address")))?;
            return Ok(vec![SocketAddr::new(*address, port)]);
        }
        Host::Name(name) => name.clone(),
    };
    let mut places = Vec::with_capacity(lookups.len());
    for semaphore in lookups {
        places.push(semaphore.clone().acquire_owned().await.map_err(|_| unresolved(host))?);
    }
    let found = tokio::task::spawn_blocking(move || {
        let found = (&*name, port).to_socket_addrs().map(Vec::from_iter);
        drop(places);
        found
    });
    let found = found.await.map_err(|_| unresolved(host))?.map_err(|_| unresolved(host))?;
    admit(host, &found, reach)
}

/// What may be tried of a name's addresses: all of them or, where a single one is out of reach, none. A name that
/// mixes the two is either a mistake or an attack.
fn admit(host: &Host, found: &[SocketAddr], reach: Reach) -> Result<Vec<SocketAddr>, EffectError> {
    let mut admitted = Vec::new();
    for address in found {
        check(address.ip(), reach)
            .map_err(|()| refused(format!("`{host}` resolves to an address that is not public")))?;
        if admitted.len() < TRIED && !admitted.contains(address) {
            admitted.push(*address);
        }
    }
    if admitted.is_empty() { Err(unresolved(host)) } else { Ok(admitted) }
}

/// Whether an address may be connected to.
pub(super) fn check(address: IpAddr, reach: Reach) -> Result<(), ()> {
    match reach {
        Reach::PrivateToo => Ok(()),
        Reach::PublicOnly if is_private(address) => Err(()),
        Reach::PublicOnly => Ok(()),
    }
}

fn refused(message: String) -> EffectError {
    EffectError::new(ReasonCode::PrivateAddress, message)
}

fn unresolved(host: &Host) -> EffectError {
    EffectError::new(ReasonCode::NameNotResolved, format!("`{host}` has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(addresses: &[&str], reach: Reach) -> Result<usize, ReasonCode> {
        let host = Host::parse("name.example").expect("a name");
        let found =
            Vec::from_iter(addresses.iter().map(|address| format!("{address}:443").parse().expect("an address")));
        admit(&host, &found, reach).map(|admitted| admitted.len()).map_err(|error| error.code)
    }

    #[test]
    fn n06_name_with_one_private_address_is_refused_whatever_else_it_has() {
        for private in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "[::1]", "[fd00::1]", "[::ffff:192.168.0.1]"] {
            for addresses in [&["1.1.1.1", private][..], &[private, "1.1.1.1"], &["[2606:4700:4700::1111]", private]] {
                assert_eq!(admitted(addresses, Reach::PublicOnly), Err(ReasonCode::PrivateAddress), "{addresses:?}");
                assert_eq!(admitted(addresses, Reach::PrivateToo), Ok(2), "{addresses:?}");
            }
        }
        // Also behind more public addresses than are ever tried.
        let mut many = Vec::from_iter((1..=20).map(|last| format!("1.1.1.{last}")));
        many.push("127.0.0.1".to_owned());
        let many = Vec::from_iter(many.iter().map(String::as_str));
        assert_eq!(admitted(&many, Reach::PublicOnly), Err(ReasonCode::PrivateAddress));
    }

    #[test]
    fn n05_addresses_that_are_tried_are_bounded_and_distinct() {
        assert_eq!(admitted(&["1.1.1.1", "1.0.0.1", "1.1.1.1"], Reach::PublicOnly), Ok(2));
        let many = Vec::from_iter((1..=20).map(|last| format!("1.1.1.{last}")));
        assert_eq!(admitted(&Vec::from_iter(many.iter().map(String::as_str)), Reach::PublicOnly), Ok(TRIED));
        assert_eq!(admitted(&[], Reach::PrivateToo), Err(ReasonCode::NameNotResolved));
    }
}
