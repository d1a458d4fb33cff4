//! What a tool server hears from the gate where it asks for something itself: that nothing of it is given.

#![expect(deprecated, reason = "servers of 2025-11-25 ask for roots and sampling, and are to be told no")]

use super::watch::Watch;
use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult, CustomRequest, CustomResult,
    ElicitRequestParams, ElicitResult, ErrorCode, ErrorData, Implementation, InputRequest, ListRootsResult,
    ProtocolVersion,
};
use rmcp::service::{NotificationContext, RequestContext, RoleClient};
use std::sync::Arc;
use tokio::sync::watch;

/// Something that a server asks for and is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Person,
    Model,
    Roots,
    Other,
}

impl Asks {
    /// For a caller, after "it wants".
    pub(super) fn wants(self) -> &'static str {
        match self {
            Asks::Person => "an answer from a person (elicitation)",
            Asks::Model => "an answer from a model (sampling)",
            Asks::Roots => "a list of directories (roots)",
            Asks::Other => "something that is no tool's result",
        }
    }

    /// From the data of the error of a server that wants something which is not declared.
    pub(super) fn of_missing(data: Option<&serde_json::Value>) -> Asks {
        let wanted = |key: &str| data.and_then(|data| data.get("requiredCapabilities")?.get(key)).is_some();
        let known = [("elicitation", Asks::Person), ("sampling", Asks::Model), ("roots", Asks::Roots)];
        known.into_iter().find(|(key, _)| wanted(key)).map_or(Asks::Other, |(_, asks)| asks)
    }

    pub(super) fn of(request: &InputRequest) -> Asks {
        match request {
            InputRequest::Elicitation(_) => Asks::Person,
            InputRequest::CreateMessage(_) => Asks::Model,
            InputRequest::ListRoots(_) => Asks::Roots,
            _ => Asks::Other,
        }
    }
}

/// The gate as its tool servers know it: it offers nothing.
pub(super) struct Nothing {
    /// How many requests there were, and what the last one was for.
    asked: watch::Sender<(u64, Asks)>,
    watch: Arc<Watch>,
}

impl Nothing {
    pub(super) fn new(watch: Arc<Watch>) -> Nothing {
        Nothing { asked: watch::Sender::new((0, Asks::Other)), watch }
    }

    /// To wait for the next request of the server.
    pub(super) fn asked(&self) -> watch::Receiver<(u64, Asks)> {
        self.asked.subscribe()
    }

    fn refuse(&self, asks: Asks) -> ErrorData {
        self.asked.send_modify(|(count, last)| (*count, *last) = (*count + 1, asks));
        let message = format!("no tool server is given {}", asks.wants());
        ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
    }
}

impl ClientHandler for Nothing {
    fn get_info(&self) -> ClientConfig {
        let gate = Implementation::new("lockgate", env!("CARGO_PKG_VERSION"));
        // Where there is a handshake; the newer wire has none.
        ClientConfig::new(ClientCapabilities::default(), gate)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Err(self.refuse(Asks::Model))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Err(self.refuse(Asks::Roots))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Err(self.refuse(Asks::Person))
    }

    async fn on_custom_request(
        &self,
        _: CustomRequest,
        _: RequestContext<RoleClient>,
    ) -> Result<CustomResult, ErrorData> {
        Err(self.refuse(Asks::Other))
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.watch.said_to_have_changed();
    }
}
