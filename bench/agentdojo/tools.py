"""The tools of one suite as a client of its server sees them, and the fields of what they return: all that a file for the suite
may be written from. Prints no task, prompt, environment or answer. `tools.py SUITE`."""

from __future__ import annotations

import argparse
import datetime
import enum
import inspect
import json
import types
import typing

from agentdojo.functions_runtime import Function
from agentdojo.task_suite.load_suites import get_suites
from pydantic import BaseModel

VERSION = "v1.2.2"
PLAIN = (str, int, float, bool, type(None), datetime.datetime, datetime.date)


def shown(annotation) -> str:
    """A type in words, without the modules that it is in."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(shown(part) for part in parts)
    if origin is typing.Annotated:
        return shown(parts[0])
    if origin is not None:
        return f"{getattr(origin, '__name__', origin)}[{', '.join(shown(part) for part in parts)}]"
    return getattr(annotation, "__name__", str(annotation))


def models(annotation, found: dict[str, type]) -> None:
    """Every record or choice within a type, by name."""
    for part in typing.get_args(annotation):
        models(part, found)
    if not inspect.isclass(annotation) or annotation in PLAIN or annotation.__name__ in found:
        return
    if issubclass(annotation, BaseModel):
        found[annotation.__name__] = annotation
        for field in annotation.model_fields.values():
            models(field.annotation, found)
    elif issubclass(annotation, enum.Enum):
        found[annotation.__name__] = annotation


def tool(function: Function, found: dict[str, type]) -> str:
    returned = typing.get_type_hints(function.run).get("return", inspect.Signature.empty)
    models(returned, found)
    result = "not said" if returned is inspect.Signature.empty else shown(returned)
    schema = json.dumps(function.parameters.model_json_schema(), indent=2)
    return f"## {function.name}\n\n{function.description}\n\nreturns: {result}\n\n```json\n{schema}\n```\n"


def record(model: type) -> str:
    if issubclass(model, enum.Enum):
        return f"### {model.__name__}\n\none of {', '.join(repr(choice.value) for choice in model)}\n"
    lines = [f"### {model.__name__}\n"]
    for name, field in model.model_fields.items():
        said = f": {field.description}" if field.description else ""
        lines.append(f"- `{name}` {shown(field.annotation)}{said}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=["workspace", "travel", "banking", "slack"])
    suite = get_suites(VERSION)[parser.parse_args().suite]
    found: dict[str, type] = {}
    tools = [tool(function, found) for function in suite.tools]
    print(f"# Tools of `{suite.name}`, benchmark {VERSION}\n")
    print("The gate sees each result as `{\"result\": VALUE}`: a field's pointer begins with `/result`.\n")
    print("\n".join(tools))
    print("## What they return\n")
    print("\n".join(record(model) for model in found.values()))


if __name__ == "__main__":
    main()
