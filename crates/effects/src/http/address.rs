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
    let mut addresses = found.await.map_err(|_| unresolved(host))?.map_err(|_| unresolved(host))?;
    for address in &addresses {
        check(address.ip(), reach)
            .map_err(|()| refused(format!("`{host}` resolves to an address that is not public")))?;
    }
    let mut seen = Vec::with_capacity(addresses.len());
    addresses.retain(|address| {
        !seen.contains(address) && {
            seen.push(*address);
            true
        }
    });
    addresses.truncate(TRIED);
    if addresses.is_empty() { Err(unresolved(host)) } else { Ok(addresses) }
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
