"""Compares what the decoder decides with what langchain-core and langgraph-checkpoint decide.

Documents are dumps that the real packages made, and mutations of them. For each, both sides say whether they take it. Ours may be
stricter, for a reason that is listed; it may never be laxer. Dumps of messages must come back byte for byte.

    run.py DECIDE [--seed N] [--count N] [--vectors FILE] [--table FILE]

DECIDE is the built example `differential`. Exit status: 0 equal or stricter everywhere, 1 laxer somewhere, or a dump came back changed.
"""

import argparse
import collections
import copy
import datetime
import decimal
import importlib.metadata
import ipaddress
import json
import logging
import os
import pathlib
import random
import subprocess
import sys
import uuid
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import ormsgpack
from langchain_core.agents import AgentAction, AgentFinish
from langchain_core.documents import Document
from langchain_core.load import dumps, loads
from langchain_core.messages import (
    AIMessage, AIMessageChunk, ChatMessage, FunctionMessage, HumanMessage, HumanMessageChunk, RemoveMessage,
    SystemMessage, SystemMessageChunk, ToolMessage, ToolMessageChunk,
)
from langchain_core.output_parsers import CommaSeparatedListOutputParser, StrOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.prompts import ChatPromptTemplate, HumanMessagePromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

MESSAGES = [AIMessage, HumanMessage, SystemMessage, ToolMessage]
ENV_CANARY = "LOCKGATE_DIFFERENTIAL_CANARY"
CANARY = "canary-7f3a91"


class Maker:
    """Makes random objects with the real packages."""

    def __init__(self, random):
        self.random = random

    def text(self):
        return self.random.choice(
            ["", "hi", "é \U0001f600", "a/b~c", "\x7f\x00\x1b", 'q"\\', "{x}", "lc", "\u2028", "x" * 300, "__lc_escaped__"]
        )

    def number(self):
        return self.random.choice([0, 1, -1, 2**53 - 1, 1.0, -0.0, 0.1, 1e22, 1e-7, 123456.75, 5e-324])

    def data(self, depth=0):
        """Plain data, often made to look like an object."""
        kind = self.random.randrange(10 if depth < 4 else 4)
        if kind < 2:
            return self.text()
        if kind == 2:
            return self.number()
        if kind == 3:
            return self.random.choice([None, True, False])
        if kind in (4, 5):
            return [self.data(depth + 1) for _ in range(self.random.randrange(4))]
        if kind == 6:
            return self.random.choice(
                [
                    {"lc": 1, "type": "secret", "id": [ENV_CANARY]},
                    {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"], "kwargs": {"content": "forged"}},
                    {"lc": self.data(depth + 1)},
                    {"__lc_escaped__": self.data(depth + 1)},
                    {"__lc_escaped__": {"lc": 1}, "x": 1},
                    {"lc": 2, "type": "constructor", "id": ["os", "system"], "args": ["id"]},
                ]
            )
        return {self.random.choice(["a", "b", "type", "id", "name", "é", "x/y"]): self.data(depth + 1) for _ in range(self.random.randrange(4))}

    def map(self):
        return {self.random.choice(["k", "a", "url", "lc", "__lc_escaped__", "é"]): self.data() for _ in range(self.random.randrange(3))}

    def content(self):
        return self.random.choice(
            [self.text(), [], ["a", {"type": "text", "text": self.text()}], [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]]
        )

    def message(self):
        common = {}
        if self.random.random() < 0.4:
            common["additional_kwargs"] = self.map()
        if self.random.random() < 0.4:
            common["response_metadata"] = self.map()
        if self.random.random() < 0.4:
            common["name"], common["id"] = self.text(), self.text()
        kind = self.random.randrange(9)
        if kind in (0, 1):
            more = {}
            if self.random.random() < 0.6:
                more["tool_calls"] = [{"name": "f", "args": self.map(), "id": self.random.choice(["1", None])} for _ in range(self.random.randrange(3))]
            if self.random.random() < 0.3:
                more["invalid_tool_calls"] = [{"name": "f", "args": "{", "id": None, "error": self.text()}]
            if self.random.random() < 0.4:
                more["usage_metadata"] = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "input_token_details": {"cache_read": 1}}
            return AIMessage(content=self.content(), **more, **common)
        if kind == 2:
            return HumanMessage(content=self.content(), **common)
        if kind == 3:
            return SystemMessage(content=self.content(), **common)
        if kind == 4:
            return ToolMessage(content=self.content(), tool_call_id="1", artifact=self.data(), status=self.random.choice(["success", "error"]), **common)
        if kind == 5:
            return RemoveMessage(id=self.text() or "x")
        if kind == 6:
            return AIMessageChunk(content=self.text(), tool_call_chunks=[{"name": "f", "args": '{"a"', "id": "1", "index": 0}], **common)
        if kind == 7:
            return self.random.choice([HumanMessageChunk, SystemMessageChunk])(content=self.text(), **common)
        return ToolMessageChunk(content=self.text(), tool_call_id="1", **common)

    def core(self):
        kind = self.random.randrange(14)
        made = [
            lambda: Document(page_content=self.text(), metadata=self.map()),
            lambda: ChatMessage(content=self.text(), role="r", additional_kwargs=self.map()),
            lambda: FunctionMessage(content=self.text(), name="f"),
            lambda: PromptTemplate.from_template("a {x} {{y}}"),
            lambda: PromptTemplate.from_template("a {{x}}", template_format="mustache"),
            lambda: ChatPromptTemplate.from_messages([("system", "s {a}"), ("human", "{x}"), MessagesPlaceholder("h")]),
            lambda: ChatPromptTemplate.from_messages([HumanMessage("x"), ("ai", "y")]),
            lambda: ChatPromptValue(messages=[HumanMessage(self.text())]),
            lambda: StringPromptValue(text=self.text()),
            lambda: AgentAction(tool="t", tool_input=self.map(), log=self.text()),
            lambda: AgentFinish(return_values=self.map(), log=self.text()),
            lambda: Generation(text=self.text(), generation_info=self.map()),
            lambda: ChatGeneration(message=AIMessage(content=self.text())),
            lambda: self.random.choice([StrOutputParser(), CommaSeparatedListOutputParser()]),
        ]
        return made[kind]()

    def state(self):
        """What a checkpoint's channel may hold."""
        kind = self.random.randrange(14)
        now = datetime.datetime(2026, 11, 28, 11, 40, self.random.randrange(60), self.random.choice([0, 123456]), self.random.choice([None, datetime.timezone.utc]))
        made = [
            lambda: self.message(),
            lambda: self.data(),
            lambda: now,
            lambda: now.date(),
            lambda: now.time(),
            lambda: datetime.timedelta(days=-3, seconds=5),
            lambda: uuid.UUID(int=self.random.getrandbits(128)),
            lambda: decimal.Decimal(self.random.choice(["1.5", "-0", "1E+5", "NaN"])),
            lambda: {1, 2, "x"},
            lambda: collections.deque([1, "a"]),
            lambda: self.random.choice([ipaddress.ip_address("10.0.0.1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_address("::1"), ipaddress.ip_interface("10.0.0.1/8")]),
            lambda: pathlib.Path("/a/b"),
            lambda: Document(page_content=self.text(), metadata={"a": 1}),
            lambda: self.random.choice([float("nan"), 2**60, {1: "a"}, b"bytes", datetime.timezone(datetime.timedelta(hours=2))]),
        ]
        return made[kind]()


    def plain(self, depth=0):
        """A value in a checkpoint's old JSON form."""
        rng = self.random
        made = [
            lambda: ["uuid", "UUID"] + [["%032x" % rng.getrandbits(128)]],
            lambda: ["datetime", "date"] + [[2026, rng.randrange(14), 28]],
            lambda: ["datetime", "datetime"] + [[2026, 11, 28, rng.randrange(26)]],
            lambda: ["datetime", "timedelta"] + [[-3, 5, 0]],
            lambda: ["decimal", "Decimal"] + [[rng.choice(["1.5", "1e5", "x", "NaN", "--1", "1_0"])]],
            lambda: ["builtins", rng.choice(["set", "frozenset", "list", "eval"])] + [[[1, 2]]],
            lambda: ["collections", "deque"] + [[["a"]]],
            lambda: ["ipaddress", rng.choice(["IPv4Address", "IPv4Network", "IPv6Address", "IPv4Interface"])] + [[rng.choice(["10.0.0.1", "10.0.0.0/8", "10.0.0.1/8", "::1", "010.0.0.1", "10.0.0.1/255.0.0.0"])]],
            lambda: ["pathlib", "Path"] + [["/", "a"]],
            lambda: ["zoneinfo", "ZoneInfo"] + [[rng.choice(["UTC", "Europe/Berlin", "../x"])]],
            lambda: ["langchain_core", "messages", "human", "HumanMessage"] + [None],
            lambda: ["my", "State"] + [[1]],
        ]
        if depth < 2 and rng.random() < 0.4:
            return [self.plain(depth + 1) for _ in range(rng.randrange(1, 3))]
        *path, args = rng.choice(made)()
        kwargs = {"content": self.text(), "type": "human"} if args is None else rng.choice([{}, None])
        return {"lc": 2, "type": "constructor", "id": path, "args": args, "kwargs": kwargs, **rng.choice([{}, {"method": None}])}


# What can be done to a document. Each gives a list of (name, text).


def places(tree, at=()):
    yield at, tree
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from places(value, at + (key,))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from places(value, at + (index,))


def put(tree, at, value):
    tree = copy.deepcopy(tree)
    if not at:
        return value
    spot = tree
    for step in at[:-1]:
        spot = spot[step]
    spot[at[-1]] = value
    return tree


def drop(tree, at):
    tree = copy.deepcopy(tree)
    spot = tree
    for step in at[:-1]:
        spot = spot[step]
    del spot[at[-1]]
    return tree


ENVELOPE = {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"], "kwargs": {"content": "x"}}


def with_kwargs(path, **kwargs):
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": kwargs}


POISON = [
    ("secret", {"lc": 1, "type": "secret", "id": [ENV_CANARY]}),
    ("secret without a name", {"lc": 1, "type": "secret", "id": []}),
    ("not implemented", {"lc": 1, "type": "not_implemented", "id": ["os", "system"], "repr": "x"}),
    ("message", ENVELOPE),
    ("true for a version", {**ENVELOPE, "lc": True}),
    ("1.0 for a version", {**ENVELOPE, "lc": 1.0}),
    ("version 2", {**ENVELOPE, "lc": 2}),
    ("extra key", {**ENVELOPE, "graph": {}}),
    ("another type", {**ENVELOPE, "type": "call"}),
    ("no id", {"lc": 1, "type": "constructor", "kwargs": {}}),
    ("null id", {**ENVELOPE, "id": None}),
    ("text id", {**ENVELOPE, "id": "AIMessage"}),
    ("number in id", {**ENVELOPE, "id": ["langchain", "schema", "messages", 1]}),
    ("empty id", {**ENVELOPE, "id": []}),
    ("no kwargs", {"lc": 1, "type": "constructor", "id": ENVELOPE["id"]}),
    ("os.system", with_kwargs(["os", "system"], command="id")),
    ("lambda", with_kwargs(["langchain_core", "runnables", "base", "RunnableLambda"], func="x")),
    ("chat model", with_kwargs(["langchain", "chat_models", "openai", "ChatOpenAI"], model="m", base_url="http://169.254.169.254/", openai_api_key={"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]})),
    ("dotted path", with_kwargs(["langchain.schema", "messages", "AIMessage"], content="x")),
    ("jinja2", with_kwargs(["langchain", "prompts", "prompt", "PromptTemplate"], input_variables=[], template="{{ x.__class__ }}", template_format="jinja2")),
    ("attribute in a template", with_kwargs(["langchain", "prompts", "prompt", "PromptTemplate"], input_variables=["x"], template="{x.__class__}", template_format="f-string")),
    ("jinja2 in a map that becomes a prompt", with_kwargs(["langchain", "prompts", "chat", "HumanMessagePromptTemplate"], prompt={"input_variables": ["x"], "template": "{{ x.__class__ }}", "template_format": "jinja2"})),
    ("jinja2 two maps deep", with_kwargs(["langchain", "prompts", "chat", "ChatPromptTemplate"], input_variables=[], messages=[{"prompt": {"template": "{{ x }}", "template_format": "jinja2"}}])),
    ("jinja2 on a message", with_kwargs(ENVELOPE["id"], content="x", template_format="jinja2")),
    ("image prompt", with_kwargs(["langchain", "prompts", "image", "ImagePromptTemplate"], template={"path": "/etc/passwd"})),
    ("escaped kwargs", {**ENVELOPE, "kwargs": {"__lc_escaped__": {"content": "x"}}}),
    ("secret as kwargs", {**ENVELOPE, "kwargs": {"lc": 1, "type": "secret", "id": ["X"]}}),
    ("escaped envelope", {"__lc_escaped__": ENVELOPE}),
    ("twice escaped", {"__lc_escaped__": {"__lc_escaped__": ENVELOPE}}),
    ("escaped text", {"__lc_escaped__": "x"}),
    ("escape beside another key", {"__lc_escaped__": ENVELOPE, "x": 1}),
    ("lc alone", {"lc": 1}),
    ("date of version 2", {"lc": 2, "type": "constructor", "id": ["datetime", "date"], "args": [2026, 11, 28], "kwargs": {}}),
    ("eval of version 2", {"lc": 2, "type": "constructor", "id": ["builtins", "eval"], "args": ["1"], "kwargs": {}}),
    ("method of version 2", {"lc": 2, "type": "constructor", "id": ["uuid", "UUID"], "method": "fields", "args": ["0" * 32]}),
    ("number", 7), ("true", True), ("null", None), ("list", [[]]), ("map", {}), ("text", "x"), ("1.5", 1.5),
]


def mutated(text, random):
    tree = json.loads(text)
    spots = list(places(tree))
    name, poison = random.choice(POISON)
    at, value = random.choice(spots)
    yield "put " + name, json.dumps(put(tree, at, poison))
    if len(spots) > 1:
        at, _ = random.choice(spots[1:])
        yield "drop", json.dumps(drop(tree, at))
    maps = [(at, value) for at, value in spots if isinstance(value, dict)]
    if maps:
        at, value = random.choice(maps)
        key = random.choice(["lc", "type", "kwargs", "name", "extra", "template_format", "content", "__lc_escaped__", "role", "id"])
        name, poison = random.choice(POISON)
        yield f"add {key}", json.dumps(put(tree, at, {**value, key: poison}))
        # The same key again: the text is changed, since Python's maps cannot have it.
        if value and not at:
            yield "key twice", text[:-1] + ', "lc": 1}'
    yield "deep", json.dumps(put(tree, random.choice(spots)[0], json.loads("[" * 60 + "]" * 60)))
    yield "large integer", json.dumps(put(tree, random.choice(spots)[0], 2**random.randrange(53, 80)))
    for name, literal in [("NaN", "NaN"), ("infinite", "-Infinity"), ("half a pair", '"\\ud800"'), ("1e999", "1e999")]:
        if random.random() < 0.3:
            yield name, json.dumps(put(tree, random.choice(spots)[0], "@@@")).replace('"@@@"', literal)
    if random.random() < 0.5:
        cut = random.randrange(len(text))
        yield "cut", text[:cut]
        yield "another byte", text[:cut] + random.choice('{}[]",:0x\\') + text[cut + 1:]


def mutated_bytes(data, random):
    for _ in range(4):
        changed = bytearray(data)
        at = random.randrange(len(changed))
        changed[at] = random.choice([random.randrange(256), 0xC7, 0xD4, 0x90, 0x80, 0xA0, changed[at] ^ 1])
        yield "another byte", bytes(changed)
    yield "cut", data[: random.randrange(len(data))]
    yield "longer", data + b"\xc0"


def extension(code, *parts):
    return ormsgpack.packb(ormsgpack.Ext(code, ormsgpack.packb(parts)))


EXTENSIONS = [
    ("os.system", extension(0, "os", "system", "id")),
    ("eval", extension(1, "builtins", "eval", ["1"])),
    ("subprocess", extension(2, "subprocess", "Popen", {"args": "id"})),
    ("another method", extension(3, "datetime", "datetime", "x", "utcnow")),
    ("method of a class", extension(3, "builtins", "str", "x", "format")),
    ("unknown extension", ormsgpack.packb(ormsgpack.Ext(9, b"\xc0"))),
    ("unlisted model", extension(5, "my.module", "State", {"a": 1}, "model_validate_json")),
    ("pydantic v1", extension(4, "my.module", "State", {"a": 1})),
    ("pattern", extension(1, "re", "compile", ["(a+)+$", 32])),
    ("no such day", extension(1, "datetime", "date", [2023, 2, 30])),
    ("no such time", extension(3, "datetime", "datetime", "2023-02-30T00:00:00", "fromisoformat")),
    ("numbers as a date", extension(0, "datetime", "datetime", "2023-02-01T00:00:00")),
    ("a zone above its directory", extension(0, "zoneinfo", "ZoneInfo", "../../etc/passwd")),
    ("network with host bits", extension(0, "ipaddress", "IPv4Network", "10.0.0.1/8")),
    ("objects in an array", extension(6, "|O", [1], "C", b"12345678")),
    ("array", extension(6, "<f8", [1], "C", b"12345678")),
    ("snapshot", ormsgpack.packb(ormsgpack.Ext(7, ormsgpack.packb({"a": 1})))),
    ("message", extension(5, "langchain_core.messages.human", "HumanMessage", {"content": "x", "type": "human"}, "model_validate_json")),
    ("message without content", extension(5, "langchain_core.messages.human", "HumanMessage", {}, "model_validate_json")),
    ("two parts", extension(0, "uuid", "UUID")),
    ("no list", ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb("x")))),
    ("key of a number", ormsgpack.packb({1: 2}, option=ormsgpack.OPT_NON_STR_KEYS)),
]


# What the real packages decide.


def classes(allowed):
    by_name = {made.__name__: made for made in [*MESSAGES, Document, PromptTemplate]}
    return allowed if isinstance(allowed, str) else [by_name[name] for name in allowed]


def theirs(case):
    data, form = case["bytes"], case["format"]
    try:
        if form == "json":
            loaded = loads(data.decode("utf-8", "surrogatepass"), allowed_objects=classes(case["allowed"]))
            return True, loaded
        return True, JsonPlusSerializer(allowed_msgpack_modules=None).loads_typed(("json" if form == "checkpoint" else "msgpack", data))
    except RecursionError:
        return False, None
    except Exception:
        return False, None


def cases(seed, count):
    """Everything that is compared: (name, format, allowed, bytes, is_original)."""
    rng = random.Random(seed)
    maker = Maker(rng)

    def case(name, form, allowed, data, original=False, plain=False):
        data = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
        return {"name": name, "format": form, "allowed": allowed, "bytes": data, "original": original, "plain": plain}

    for allowed in ["messages", "core", ["AIMessage", "HumanMessage"], []]:
        for name, poison in POISON:
            yield case(name, "json", allowed, json.dumps(poison))
    for name, poison in POISON:
        yield case(name, "checkpoint", "core", json.dumps({"channel_values": {"x": poison}}))
    for name, data in EXTENSIONS:
        yield case(name, "msgpack", "core", data)
    for index in range(count):
        text = dumps(maker.message())
        yield case("message", "json", "messages", text, original=True)
        for name, changed in mutated(text, rng):
            yield case(name, "json", rng.choice(["messages", "core", ["AIMessage", "HumanMessage"]]), changed)
        if index % 2 == 0:
            text = dumps(maker.core())
            yield case("core", "json", "core", text, original=True)
            yield case("core", "json", "messages", text)
            for name, changed in mutated(text, rng):
                yield case(name, "json", "core", changed)
        if index % 3 == 0:
            text = dumps(maker.data())
            yield case("data", "json", "core", text, original=True, plain=True)
            text = json.dumps({"channel_values": {"x": maker.plain(), "y": json.loads(dumps(maker.message()))}})
            yield case("old state", "checkpoint", "core", text)
            for name, changed in mutated(text, rng):
                yield case(name, "checkpoint", rng.choice(["messages", "core"]), changed)
            try:
                packed = JsonPlusSerializer().dumps_typed({"channel_values": {"x": maker.state()}})[1]
            except Exception:
                continue
            yield case("state", "msgpack", "core", packed)
            for name, changed in mutated_bytes(packed, rng):
                yield case(name, "msgpack", "core", changed)
    yield case("lambda", "json", "core", dumps(RunnableLambda(len)))


def written(data):
    try:
        return {"text": data.decode("ascii")}
    except UnicodeDecodeError:
        return {"hex": data.hex()}


def ours(decide, asked):
    lines = "".join(
        json.dumps({"format": case["format"], "allowed": case["allowed"], "hex": case["bytes"].hex()}) + "\n" for case in asked
    )
    environment = {**os.environ, ENV_CANARY: CANARY}
    done = subprocess.run([decide], input=lines, capture_output=True, text=True, check=True, env=environment)
    assert CANARY not in done.stdout, "the environment was read"
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("decide")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--vectors")
    parser.add_argument("--seeds", help="a directory for inputs of the fuzz targets")
    parser.add_argument("--table")
    options = parser.parse_args()
    asked = list(cases(options.seed, options.count))
    answers = ours(options.decide, asked)
    assert len(answers) == len(asked)
    totals = collections.Counter()
    stricter, faults, vectors, kept = {}, [], [], collections.Counter()
    for case, answer in zip(asked, answers):
        taken, loaded = theirs(case)
        outcome = ("both take" if taken else "LAXER") if answer["ok"] else ("stricter" if taken else "both refuse")
        totals[case["format"], outcome] += 1
        first = None if answer["ok"] else answer["refused"][0]
        if outcome == "stricter":
            reason = case["format"], first["code"], first["found"]
            entry = stricter.setdefault(reason, [0, collections.Counter()])
            entry[0] += 1
            entry[1][case["name"]] += 1
        if outcome == "LAXER":
            faults.append(("laxer", case))
        if case["original"] and taken and answer["ok"] and answer["dump"] != case["bytes"].decode():
            faults.append(("came back changed: " + str(answer["dump"]), case))
        if case["original"] and case["name"] == "message" and taken and not answer["ok"]:
            faults.append((f"a message that is not taken: {first}", case))
        if case["plain"] and answer["ok"] and answer["objects"]:
            faults.append(("data became an object", case))
        kind = (case["format"], "core") if case["original"] else (case["format"], case["name"], outcome, first and first["code"])
        kept[kind] += 1
        if kept[kind] <= (120 if case["original"] else 1) and len(case["bytes"]) < 600:
            vectors.append(
                {"name": case["name"], "format": case["format"], "allowed": case["allowed"], "original": case["original"], "plain": case["plain"],
                 "theirs": taken, "code": first and first["code"], "pointer": first and first["pointer"], **written(case["bytes"])}
            )
    report(options, totals, stricter, faults, asked)
    if options.seeds:
        write_seeds(pathlib.Path(options.seeds), asked)
    if options.vectors:
        lines = (json.dumps(vector) for vector in vectors)
        pathlib.Path(options.vectors).write_text("\n".join(lines) + "\n")
        print(f"{len(vectors)} vectors in {options.vectors}")
    return 1 if faults else 0


def write_seeds(directory, asked):
    """Documents as the fuzz targets take them: the first way of making one, and then each byte behind a one."""
    short = [case["bytes"] for case in asked if 10 < len(case["bytes"]) < 400]
    for target in ["json", "envelope", "inspect"]:
        (directory / target).mkdir(parents=True, exist_ok=True)
        for index, data in enumerate(random.Random(target).sample(short, 40)):
            packed = bytes(4) + b"".join(bytes([1, byte]) for byte in data)
            (directory / target / f"{index:02}").write_bytes(packed)


def report(options, totals, stricter, faults, asked):
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ["langchain-core", "langgraph-checkpoint"])
    lines = [f"{len(asked)} documents, seed {options.seed}, {versions}.", "", "| format | both take | both refuse | ours is stricter | ours is laxer |", "|---|---|---|---|---|"]
    for form in ["json", "checkpoint", "msgpack"]:
        row = [totals[form, outcome] for outcome in ["both take", "both refuse", "stricter", "LAXER"]]
        lines.append(f"| {form} | " + " | ".join(map(str, row)) + " |")
    lines += ["", "| format | code | what is refused here and taken there | documents | such as |", "|---|---|---|---|---|"]
    for (form, code, found), (count, names) in sorted(stricter.items(), key=lambda item: (item[0][0], -item[1][0])):
        such_as = ", ".join(name for name, _ in names.most_common(3))
        lines.append(f"| {form} | `{code}` | {found} | {count} | {such_as} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.table:
        pathlib.Path(options.table).write_text(text)
    for what, case in faults[:20]:
        print("FAULT", what, case["format"], case["name"], case["allowed"], case["bytes"][:600], file=sys.stderr)
    print(f"{len(faults)} faults")


if __name__ == "__main__":
    sys.exit(main())
