//! The closed list of types that an envelope may name, and what their fields may hold.
//!
//! Taken from langchain-core 1.8.3 and langgraph-checkpoint 4.3.2. What is not here does not exist for the decoder; `Runnable`s, images,
//! examples and models are left out on purpose, since what they do when they are used is not in their fields.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A type that an envelope may name.
#[derive(Debug)]
pub struct Class {
    /// Its name, unique in the list.
    pub name: &'static str,
    /// What has to be allowed for it.
    pub group: Group,
    /// Every path under which it was ever written, with dots; the first is the one under which it is written now.
    paths: &'static [&'static str],
    pub(super) form: Form,
}

/// What has to be allowed for a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A chat message: data and nothing else.
    Messages,
    /// Another type of langchain-core.
    Core,
    /// A plain type of a LangGraph checkpoint, such as a date.
    Plain,
}

/// How a type is made.
#[derive(Debug)]
pub(super) enum Form {
    /// From fields by name.
    Fields(&'static [Field]),
    /// From one value.
    Single(Kind),
    /// From values in order; the first number of them is needed.
    Positional(usize, &'static [Kind]),
    /// A date and time: from one text by `fromisoformat`, the only method there is, or from numbers in order.
    DateTime,
    /// A day that exists: year, month, day.
    Date,
}

/// A field of a type or record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_needed: bool,
}

/// What a field may hold. Nothing is converted: a text is no number, a map is no object.
#[derive(Debug)]
pub(super) enum Kind {
    Any,
    Null,
    Bool,
    Int,
    /// An integer from the first to the second.
    Within(i64, i64),
    Text,
    /// A text that satisfies a check.
    Checked(fn(&str) -> bool),
    OneOf(&'static [&'static str]),
    List(&'static Kind),
    Map(&'static Kind),
    Record(&'static [Field]),
    Either(&'static [Kind]),
    /// An object of one of these types.
    Object(&'static [&'static str]),
    /// A template, in the language that the field `template_format` names.
    Template,
}

/// The type that is written under a path.
pub(super) fn at(path: &[&str]) -> Option<(&'static Class, &'static str)> {
    CLASSES.iter().find_map(|class| {
        let written = class.paths.iter().find(|known| known.split('.').eq(path.iter().copied()))?;
        Some((class, *written))
    })
}

/// A snapshot of a channel, which only an extension of its own stands for.
pub(super) static DELTA_SNAPSHOT: Class = plain("DeltaSnapshot", &["delta snapshot"], Form::Single(Kind::Any));
/// Numbers of one kind and their arrangement, which only an extension of its own stands for.
pub(super) static ARRAY: Class = plain("Array", &["array"], Form::Single(Kind::Any));

/// Every type, for lists of them.
pub fn classes() -> impl Iterator<Item = &'static Class> {
    CLASSES.iter()
}

impl Class {
    /// The paths under which it is written, with dots.
    pub fn paths(&self) -> &'static [&'static str] {
        self.paths
    }
}

const fn needed(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_needed: true }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_needed: false }
}

const TEXT_OR_NULL: Kind = Kind::Either(&[Kind::Text, Kind::Null]);
const INT_OR_NULL: Kind = Kind::Either(&[Kind::Int, Kind::Null]);
const DATA: Kind = Kind::Map(&Kind::Any);
const DATA_OR_NULL: Kind = Kind::Either(&[DATA, Kind::Null]);
const TEXTS: Kind = Kind::List(&Kind::Text);
const TEXTS_OR_NULL: Kind = Kind::Either(&[TEXTS, Kind::Null]);

/// Text, or texts and blocks such as images and tool calls.
const CONTENT: Kind = Kind::Either(&[Kind::Text, Kind::List(&Kind::Either(&[Kind::Text, DATA]))]);

const TOOL_CALL: Kind = Kind::Record(&[
    needed("name", Kind::Text),
    needed("args", DATA),
    needed("id", TEXT_OR_NULL),
    optional("type", Kind::OneOf(&["tool_call"])),
]);

const INVALID_TOOL_CALL: Kind = Kind::Record(&[
    optional("type", Kind::OneOf(&["invalid_tool_call"])),
    needed("id", TEXT_OR_NULL),
    needed("name", TEXT_OR_NULL),
    needed("args", TEXT_OR_NULL),
    needed("error", TEXT_OR_NULL),
    optional("index", Kind::Either(&[Kind::Int, Kind::Text])),
    optional("extras", DATA),
]);

const TOOL_CALL_CHUNK: Kind = Kind::Record(&[
    needed("name", TEXT_OR_NULL),
    needed("args", TEXT_OR_NULL),
    needed("id", TEXT_OR_NULL),
    needed("index", INT_OR_NULL),
    optional("type", Kind::OneOf(&["tool_call_chunk"])),
]);

const USAGE: Kind = Kind::Either(&[
    Kind::Null,
    Kind::Record(&[
        needed("input_tokens", Kind::Int),
        needed("output_tokens", Kind::Int),
        needed("total_tokens", Kind::Int),
        optional("input_token_details", Kind::Map(&INT_OR_NULL)),
        optional("output_token_details", Kind::Map(&INT_OR_NULL)),
    ]),
]);

/// The fields of every message, and then those of one type of message.
macro_rules! message {
    ($type:literal $(, $field:expr)*) => {
        message!(name: optional("name", TEXT_OR_NULL), $type $(, $field)*)
    };
    (name: $name:expr, $type:literal $(, $field:expr)*) => {
        Form::Fields(&[
            needed("content", CONTENT),
            optional("additional_kwargs", DATA),
            optional("response_metadata", DATA),
            optional("type", Kind::OneOf(&[$type])),
            optional("id", TEXT_OR_NULL),
            $name,
            $($field,)*
        ])
    };
}

macro_rules! ai {
    ($type:literal $(, $field:expr)*) => {
        message!(
            $type,
            optional("tool_calls", Kind::List(&TOOL_CALL)),
            optional("invalid_tool_calls", Kind::List(&INVALID_TOOL_CALL)),
            optional("usage_metadata", USAGE),
            optional("example", Kind::Bool)
            $(, $field)*
        )
    };
}

macro_rules! tool {
    ($type:literal) => {
        message!(
            $type,
            needed("tool_call_id", Kind::Text),
            optional("artifact", Kind::Any),
            optional("status", Kind::OneOf(&["success", "error"]))
        )
    };
}

const MESSAGES: &[&str] = &[
    "AIMessage",
    "HumanMessage",
    "SystemMessage",
    "ToolMessage",
    "ChatMessage",
    "FunctionMessage",
    "AIMessageChunk",
    "HumanMessageChunk",
    "SystemMessageChunk",
    "ToolMessageChunk",
    "ChatMessageChunk",
    "FunctionMessageChunk",
];
const CHUNKS: &[&str] = &[
    "AIMessageChunk",
    "HumanMessageChunk",
    "SystemMessageChunk",
    "ToolMessageChunk",
    "ChatMessageChunk",
    "FunctionMessageChunk",
];
const PARSERS: Kind = Kind::Either(&[Kind::Null, Kind::Object(&["StrOutputParser", "CommaSeparatedListOutputParser"])]);
const PROMPT: Kind = Kind::Object(&["PromptTemplate"]);
const PROMPTS: Kind = Kind::Either(&[PROMPT, Kind::List(&PROMPT)]);
const IN_A_CHAT: &[&str] = &[
    "AIMessagePromptTemplate",
    "ChatMessagePromptTemplate",
    "HumanMessagePromptTemplate",
    "SystemMessagePromptTemplate",
    "MessagesPlaceholder",
    "ChatPromptTemplate",
    "AIMessage",
    "HumanMessage",
    "SystemMessage",
    "ToolMessage",
    "ChatMessage",
    "FunctionMessage",
];

/// The fields of every prompt, and then those of one type.
macro_rules! prompt {
    ($($field:expr),*) => {
        Form::Fields(&[
            optional("name", TEXT_OR_NULL),
            optional("input_variables", TEXTS),
            optional("optional_variables", TEXTS),
            optional("input_types", Kind::Map(&Kind::Null)),
            optional("output_parser", PARSERS),
            optional("partial_variables", Kind::Map(&Kind::Text)),
            optional("metadata", DATA_OR_NULL),
            optional("tags", TEXTS_OR_NULL),
            optional("validate_template", Kind::Bool),
            $($field,)*
        ])
    };
}

/// Paths of a message: the old ones that are written still, and that of its module.
macro_rules! message_paths {
    ($module:literal, $name:literal $(, $older:literal)*) => {
        &[
            concat!("langchain.schema.messages.", $name),
            concat!("langchain_core.messages.", $name),
            concat!("langchain_core.messages.", $module, ".", $name),
            $($older,)*
        ]
    };
}

const fn messages(name: &'static str, paths: &'static [&'static str], form: Form) -> Class {
    Class { name, group: Group::Messages, paths, form }
}

const fn core(name: &'static str, paths: &'static [&'static str], form: Form) -> Class {
    Class { name, group: Group::Core, paths, form }
}

const fn plain(name: &'static str, paths: &'static [&'static str], form: Form) -> Class {
    Class { name, group: Group::Plain, paths, form }
}

static CLASSES: &[Class] = &[
    messages("AIMessage", message_paths!("ai", "AIMessage", "langchain.schema.AIMessage"), ai!("ai")),
    messages(
        "AIMessageChunk",
        message_paths!("ai", "AIMessageChunk"),
        ai!(
            "AIMessageChunk",
            optional("tool_call_chunks", Kind::List(&TOOL_CALL_CHUNK)),
            optional("chunk_position", Kind::Either(&[Kind::Null, Kind::OneOf(&["last"])]))
        ),
    ),
    messages(
        "HumanMessage",
        message_paths!("human", "HumanMessage", "langchain.schema.HumanMessage"),
        message!("human", optional("example", Kind::Bool)),
    ),
    messages(
        "HumanMessageChunk",
        message_paths!("human", "HumanMessageChunk"),
        message!("HumanMessageChunk", optional("example", Kind::Bool)),
    ),
    messages(
        "SystemMessage",
        message_paths!("system", "SystemMessage", "langchain.schema.SystemMessage"),
        message!("system"),
    ),
    messages("SystemMessageChunk", message_paths!("system", "SystemMessageChunk"), message!("SystemMessageChunk")),
    messages("ToolMessage", message_paths!("tool", "ToolMessage"), tool!("tool")),
    messages("ToolMessageChunk", message_paths!("tool", "ToolMessageChunk"), tool!("ToolMessageChunk")),
    messages(
        "RemoveMessage",
        message_paths!("modifier", "RemoveMessage"),
        Form::Fields(&[
            optional("content", Kind::OneOf(&[""])),
            optional("additional_kwargs", DATA),
            optional("response_metadata", DATA),
            optional("type", Kind::OneOf(&["remove"])),
            optional("name", TEXT_OR_NULL),
            needed("id", Kind::Text),
        ]),
    ),
    core(
        "ChatMessage",
        message_paths!("chat", "ChatMessage", "langchain.schema.ChatMessage"),
        message!("chat", needed("role", Kind::Text)),
    ),
    core(
        "ChatMessageChunk",
        message_paths!("chat", "ChatMessageChunk"),
        message!("ChatMessageChunk", needed("role", Kind::Text)),
    ),
    core(
        "FunctionMessage",
        message_paths!("function", "FunctionMessage", "langchain.schema.FunctionMessage"),
        message!(name: needed("name", Kind::Text), "function"),
    ),
    core(
        "FunctionMessageChunk",
        message_paths!("function", "FunctionMessageChunk"),
        message!(name: needed("name", Kind::Text), "FunctionMessageChunk"),
    ),
    core(
        "Document",
        &["langchain.schema.document.Document", "langchain_core.documents.base.Document"],
        Form::Fields(&[
            optional("id", TEXT_OR_NULL),
            optional("metadata", DATA),
            needed("page_content", Kind::Text),
            optional("type", Kind::OneOf(&["Document"])),
        ]),
    ),
    core(
        "AgentAction",
        &["langchain.schema.agent.AgentAction", "langchain_core.agents.AgentAction"],
        Form::Fields(&[
            needed("tool", Kind::Text),
            needed("tool_input", Kind::Either(&[Kind::Text, DATA])),
            needed("log", Kind::Text),
            optional("type", Kind::OneOf(&["AgentAction"])),
        ]),
    ),
    core(
        "AgentActionMessageLog",
        &["langchain.schema.agent.AgentActionMessageLog", "langchain_core.agents.AgentActionMessageLog"],
        Form::Fields(&[
            needed("tool", Kind::Text),
            needed("tool_input", Kind::Either(&[Kind::Text, DATA])),
            needed("log", Kind::Text),
            optional("type", Kind::OneOf(&["AgentActionMessageLog"])),
            needed("message_log", Kind::List(&Kind::Object(MESSAGES))),
        ]),
    ),
    core(
        "AgentFinish",
        &["langchain.schema.agent.AgentFinish", "langchain_core.agents.AgentFinish"],
        Form::Fields(&[
            needed("return_values", DATA),
            needed("log", Kind::Text),
            optional("type", Kind::OneOf(&["AgentFinish"])),
        ]),
    ),
    core(
        "Generation",
        &["langchain.schema.output.Generation", "langchain_core.outputs.generation.Generation"],
        Form::Fields(&[
            needed("text", Kind::Text),
            optional("generation_info", DATA_OR_NULL),
            optional("type", Kind::OneOf(&["Generation"])),
        ]),
    ),
    core(
        "GenerationChunk",
        &["langchain.schema.output.GenerationChunk", "langchain_core.outputs.generation.GenerationChunk"],
        Form::Fields(&[
            needed("text", Kind::Text),
            optional("generation_info", DATA_OR_NULL),
            optional("type", Kind::OneOf(&["Generation"])),
        ]),
    ),
    core(
        "ChatGeneration",
        &["langchain.schema.output.ChatGeneration", "langchain_core.outputs.chat_generation.ChatGeneration"],
        Form::Fields(&[
            optional("text", Kind::Text),
            optional("generation_info", DATA_OR_NULL),
            optional("type", Kind::OneOf(&["ChatGeneration"])),
            needed("message", Kind::Object(MESSAGES)),
        ]),
    ),
    core(
        "ChatGenerationChunk",
        &["langchain.schema.output.ChatGenerationChunk", "langchain_core.outputs.chat_generation.ChatGenerationChunk"],
        Form::Fields(&[
            optional("text", Kind::Text),
            optional("generation_info", DATA_OR_NULL),
            optional("type", Kind::OneOf(&["ChatGenerationChunk"])),
            needed("message", Kind::Object(CHUNKS)),
        ]),
    ),
    core(
        "StringPromptValue",
        &["langchain.prompts.base.StringPromptValue", "langchain_core.prompt_values.StringPromptValue"],
        Form::Fields(&[needed("text", Kind::Text), optional("type", Kind::OneOf(&["StringPromptValue"]))]),
    ),
    core(
        "ChatPromptValue",
        &["langchain.prompts.chat.ChatPromptValue", "langchain_core.prompt_values.ChatPromptValue"],
        Form::Fields(&[needed("messages", Kind::List(&Kind::Object(MESSAGES)))]),
    ),
    core(
        "ChatPromptValueConcrete",
        &["langchain.prompts.chat.ChatPromptValueConcrete", "langchain_core.prompt_values.ChatPromptValueConcrete"],
        Form::Fields(&[
            needed("messages", Kind::List(&Kind::Object(MESSAGES))),
            optional("type", Kind::OneOf(&["ChatPromptValueConcrete"])),
        ]),
    ),
    core(
        "StrOutputParser",
        &["langchain.schema.output_parser.StrOutputParser", "langchain_core.output_parsers.string.StrOutputParser"],
        Form::Fields(&[optional("name", TEXT_OR_NULL)]),
    ),
    core(
        "CommaSeparatedListOutputParser",
        &[
            "langchain.output_parsers.list.CommaSeparatedListOutputParser",
            "langchain_core.output_parsers.list.CommaSeparatedListOutputParser",
        ],
        Form::Fields(&[optional("name", TEXT_OR_NULL)]),
    ),
    core(
        "PromptTemplate",
        &["langchain.prompts.prompt.PromptTemplate", "langchain_core.prompts.prompt.PromptTemplate"],
        prompt!(needed("template", Kind::Template), optional("template_format", Kind::OneOf(super::template::FORMATS))),
    ),
    core(
        "ChatPromptTemplate",
        &["langchain.prompts.chat.ChatPromptTemplate", "langchain_core.prompts.chat.ChatPromptTemplate"],
        prompt!(needed("messages", Kind::List(&Kind::Object(IN_A_CHAT)))),
    ),
    core(
        "AIMessagePromptTemplate",
        &["langchain.prompts.chat.AIMessagePromptTemplate", "langchain_core.prompts.chat.AIMessagePromptTemplate"],
        Form::Fields(&[needed("prompt", PROMPTS), optional("additional_kwargs", DATA)]),
    ),
    core(
        "HumanMessagePromptTemplate",
        &[
            "langchain.prompts.chat.HumanMessagePromptTemplate",
            "langchain_core.prompts.chat.HumanMessagePromptTemplate",
        ],
        Form::Fields(&[needed("prompt", PROMPTS), optional("additional_kwargs", DATA)]),
    ),
    core(
        "SystemMessagePromptTemplate",
        &[
            "langchain.prompts.chat.SystemMessagePromptTemplate",
            "langchain_core.prompts.chat.SystemMessagePromptTemplate",
        ],
        Form::Fields(&[needed("prompt", PROMPTS), optional("additional_kwargs", DATA)]),
    ),
    core(
        "ChatMessagePromptTemplate",
        &["langchain.prompts.chat.ChatMessagePromptTemplate", "langchain_core.prompts.chat.ChatMessagePromptTemplate"],
        Form::Fields(&[needed("prompt", PROMPT), optional("additional_kwargs", DATA), needed("role", Kind::Text)]),
    ),
    core(
        "MessagesPlaceholder",
        &["langchain.prompts.chat.MessagesPlaceholder", "langchain_core.prompts.chat.MessagesPlaceholder"],
        Form::Fields(&[
            needed("variable_name", Kind::Text),
            optional("optional", Kind::Bool),
            optional("n_messages", INT_OR_NULL),
        ]),
    ),
    plain("datetime", &["datetime.datetime"], Form::DateTime),
    plain("date", &["datetime.date"], Form::Date),
    plain(
        "time",
        &["datetime.time"],
        Form::Fields(&[
            optional("hour", Kind::Within(0, 23)),
            optional("minute", Kind::Within(0, 59)),
            optional("second", Kind::Within(0, 59)),
            optional("microsecond", Kind::Within(0, 999_999)),
            optional("tzinfo", Kind::Either(&[Kind::Null, Kind::Object(&["timezone", "ZoneInfo"])])),
            optional("fold", Kind::Within(0, 1)),
        ]),
    ),
    plain(
        "timedelta",
        &["datetime.timedelta"],
        Form::Positional(
            0,
            &[Kind::Within(-999_999_999, 999_999_999), Kind::Within(0, 86_399), Kind::Within(0, 999_999)],
        ),
    ),
    plain("timezone", &["datetime.timezone"], Form::Positional(1, &[Kind::Object(&["timedelta"]), Kind::Text])),
    plain("UUID", &["uuid.UUID"], Form::Single(Kind::Checked(is_uuid))),
    plain("Decimal", &["decimal.Decimal"], Form::Single(Kind::Checked(is_decimal))),
    plain("set", &["builtins.set"], Form::Single(Kind::List(&Kind::Any))),
    plain("frozenset", &["builtins.frozenset"], Form::Single(Kind::List(&Kind::Any))),
    plain("deque", &["collections.deque"], Form::Single(Kind::List(&Kind::Any))),
    plain("IPv4Address", &["ipaddress.IPv4Address"], Form::Single(Kind::Checked(is_v4_address))),
    plain("IPv4Interface", &["ipaddress.IPv4Interface"], Form::Single(Kind::Checked(is_v4_interface))),
    plain("IPv4Network", &["ipaddress.IPv4Network"], Form::Single(Kind::Checked(is_v4_network))),
    plain("IPv6Address", &["ipaddress.IPv6Address"], Form::Single(Kind::Checked(is_v6_address))),
    plain("IPv6Interface", &["ipaddress.IPv6Interface"], Form::Single(Kind::Checked(is_v6_interface))),
    plain("IPv6Network", &["ipaddress.IPv6Network"], Form::Single(Kind::Checked(is_v6_network))),
    plain(
        "Path",
        &[
            "pathlib.Path",
            "pathlib.PosixPath",
            "pathlib.WindowsPath",
            "pathlib._local.Path",
            "pathlib._local.PosixPath",
            "pathlib._local.WindowsPath",
        ],
        Form::Positional(0, &[const { Kind::Text }; MOST_PARTS]),
    ),
    plain("ZoneInfo", &["zoneinfo.ZoneInfo"], Form::Single(Kind::Checked(is_zone))),
    plain("Send", &["langgraph.types.Send"], Form::Positional(2, &[Kind::Text, Kind::Any])),
    plain(
        "Interrupt",
        &["langgraph.types.Interrupt"],
        Form::Fields(&[needed("value", Kind::Any), optional("id", Kind::Text)]),
    ),
    plain(
        "Item",
        &["langgraph.store.base.Item"],
        Form::Fields(&[
            needed("value", DATA),
            needed("key", Kind::Text),
            needed("namespace", TEXTS),
            needed("created_at", Kind::Object(&["datetime"])),
            needed("updated_at", Kind::Object(&["datetime"])),
        ]),
    ),
];

/// Parts of a path.
const MOST_PARTS: usize = 64;

fn is_uuid(text: &str) -> bool {
    let digits = text.bytes().filter(|byte| *byte != b'-').count();
    digits == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Digits, perhaps with a point and an exponent; neither `NaN` nor infinite.
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (number, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    text.len() <= 64
        && whole.len() + fraction.len() > 0
        && (1..=4).contains(&exponent.len())
        && [whole, fraction, exponent].into_iter().all(digits)
}

fn is_v4_address(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

fn is_v6_address(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

fn is_v4_interface(text: &str) -> bool {
    with_length(text, 32).is_some_and(|(address, _)| is_v4_address(address))
}

fn is_v6_interface(text: &str) -> bool {
    with_length(text, 128).is_some_and(|(address, _)| is_v6_address(address))
}

/// No bit may be set behind the prefix.
fn is_v4_network(text: &str) -> bool {
    with_length(text, 32).is_some_and(|(address, length)| {
        address.parse::<Ipv4Addr>().is_ok_and(|address| address.to_bits().checked_shl(length).unwrap_or(0) == 0)
    })
}

fn is_v6_network(text: &str) -> bool {
    with_length(text, 128).is_some_and(|(address, length)| {
        address.parse::<Ipv6Addr>().is_ok_and(|address| address.to_bits().checked_shl(length).unwrap_or(0) == 0)
    })
}

fn with_length(text: &str, most: u32) -> Option<(&str, u32)> {
    let Some((address, length)) = text.split_once('/') else { return Some((text, most)) };
    let length: u32 = Some(length).filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
    (length <= most).then_some((address, length))
}

/// A name of the time zone database: it is looked up as a file, so it must stay below its directory.
fn is_zone(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte))
    };
    text.len() <= 64 && text.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn d01_no_name_and_no_path_is_listed_twice() {
        let (mut names, mut paths) = (HashSet::new(), HashSet::new());
        for class in classes() {
            assert!(names.insert(class.name), "{}", class.name);
            for path in class.paths {
                assert!(paths.insert(*path), "{path}");
            }
        }
    }

    #[test]
    fn d07_a_path_is_found_by_its_parts_and_not_by_its_text() {
        assert!(at(&["langchain", "schema", "messages", "AIMessage"]).is_some());
        assert!(at(&["langchain.schema", "messages", "AIMessage"]).is_none());
        assert!(at(&["langchain", "schema", "messages", "AIMessage", ""]).is_none());
        assert!(at(&["os", "system"]).is_none());
    }

    #[test]
    fn d07_zones_stay_below_their_directory() {
        assert!(is_zone("Europe/Berlin") && is_zone("Etc/GMT+1"));
        assert!(!is_zone("../../etc/passwd") && !is_zone("/etc/passwd") && !is_zone("a//b") && !is_zone(""));
    }
}
