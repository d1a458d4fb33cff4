//! Whether a server still has the tools that it had when it was connected. It is not believed when it says that they have
//! changed: they are asked for anew and compared, and until that is done no tool of it is called.

use super::client::Nothing;
use super::listing::{Described, describe};
use super::{ToolLimits, result};
use rmcp::RoleClient;
use rmcp::model::{ProtocolVersion, ServerNotification, SubscriptionFilter};
use rmcp::service::{Peer, RunningService};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at the list of a server that says again and again that it has changed.
const PAUSE: Duration = Duration::from_millis(200);
/// Before a stream of notifications is asked for again that has ended.
const AGAIN: Duration = Duration::from_secs(5);

/// What is known of the tools of a server.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// They are those of the beginning.
    Same,
    /// It said that they are others, and nobody has looked yet.
    Unknown,
    /// They are others, or can no longer be listed.
    Other(Arc<Result<Described, String>>),
}

/// What a server's notifications set.
pub(super) struct Watch {
    standing: watch::Sender<Standing>,
    /// How often it said that its tools have changed.
    heard: watch::Sender<u64>,
}

impl Default for Watch {
    fn default() -> Self {
        Watch { standing: watch::Sender::new(Standing::Same), heard: watch::Sender::new(0) }
    }
}

impl Watch {
    pub(super) fn said_to_have_changed(&self) {
        self.heard.send_modify(|heard| *heard = heard.wrapping_add(1));
        self.standing.send_if_modified(|standing| {
            let was_same = matches!(standing, Standing::Same);
            if was_same {
                *standing = Standing::Unknown;
            }
            was_same
        });
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Waits until it is known whether the tools are those of the beginning.
    pub(super) async fn are_same(&self) -> bool {
        let mut standing = self.standing.subscribe();
        let known = standing.wait_for(|standing| !matches!(standing, Standing::Unknown)).await;
        // `self` holds the sender, so the channel is never closed.
        known.is_ok_and(|standing| matches!(*standing, Standing::Same))
    }

    /// Looks at the list whenever it is said to have changed, until it has.
    async fn look(&self, peer: &Peer<RoleClient>, began: &Described, limits: &ToolLimits) {
        let mut heard = self.heard.subscribe();
        // What was said before this was asked for is looked at too.
        heard.mark_changed();
        let mut is_first = true;
        while heard.changed().await.is_ok() {
            let count = *heard.borrow_and_update();
            if std::mem::take(&mut is_first) && count == 0 {
                continue;
            }
            let found = match tokio::time::timeout(limits.start, describe(peer, limits)).await {
                Ok(found) => found,
                Err(_) => Err("it did not list its tools in time".to_owned()),
            };
            if found.as_ref() == Ok(began) {
                self.standing.send_modify(|standing| {
                    if *self.heard.borrow() == count {
                        *standing = Standing::Same;
                    }
                });
                tokio::time::sleep(PAUSE).await;
            } else {
                let found = found.map_err(|why| result::for_operator(&why));
                self.standing.send_replace(Standing::Other(Arc::new(found)));
                return;
            }
        }
    }
}

/// What a server turned out to have later. It ends with the server.
pub struct Changes(watch::Receiver<Standing>);

impl Changes {
    pub(super) fn of(watch: &Watch) -> Changes {
        Changes(watch.subscribe())
    }

    /// What it has now that is not what it had; or why it can no longer be asked. `None` once the server is gone.
    pub async fn next(mut self) -> Option<Result<Described, String>> {
        let found = self.0.wait_for(|standing| matches!(standing, Standing::Other(_))).await.ok()?.clone();
        match found {
            Standing::Other(found) => Some((*found).clone()),
            Standing::Same | Standing::Unknown => None,
        }
    }
}

/// A task that ends with who holds it.
pub(super) struct Watching(tokio::task::JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to watch.
pub(super) fn begin(
    service: &RunningService<RoleClient, Nothing>,
    watch: Arc<Watch>,
    began: Described,
    limits: ToolLimits,
) -> Watching {
    let peer = service.peer().clone();
    let streams = peer.peer_info().is_some_and(|info| {
        let tells = info.capabilities.tools.as_ref().and_then(|tools| tools.list_changed) == Some(true);
        tells && info.protocol_version >= ProtocolVersion::V_2026_07_28
    });
    Watching(tokio::spawn(async move {
        let look = watch.look(&peer, &began, &limits);
        if streams {
            tokio::select! {
                () = look => {}
                () = listen(&peer, &watch) => {}
            }
        } else {
            look.await;
        }
    }))
}

/// From 2026-07-28 on a server tells it only on a stream that was asked for. Once that has ended, nobody knows what was not
/// told, so each further one begins with a look.
async fn listen(peer: &Peer<RoleClient>, watch: &Watch) {
    let mut is_first = true;
    loop {
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        if let Ok(mut stream) = peer.listen(filter).await {
            if !std::mem::take(&mut is_first) {
                watch.said_to_have_changed();
            }
            while let Ok(Some(told)) = stream.next().await {
                if matches!(told, ServerNotification::ToolListChangedNotification(_)) {
                    watch.said_to_have_changed();
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
