"""The benchmark's suites: environments that are parsed once, the calls of each task, and what each slot makes visible."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field

import yaml
from agentdojo.agent_pipeline.tool_execution import tool_result_to_str
from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suites
from agentdojo.task_suite.task_suite import read_suite_file
from agentdojo.types import text_content_block_from_string

VERSION = "v1.2.2"
MARKER = "INFORMATION-7f3a91"


@dataclass
class Run:
    """What became of one replay."""

    utility: bool = False
    security: bool | None = None
    refused: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    latencies: list = field(default_factory=list)
    injected_at: int | None = None


class Suite:
    def __init__(self, name: str):
        self.name = name
        self.suite = get_suites(VERSION)[name]
        self.runtime = FunctionsRuntime(self.suite.tools)
        self.tools = self.suite.tools
        self.users = self.suite.user_tasks
        self.injections = self.suite.injection_tasks
        slots = list(self.suite.get_injection_vector_defaults())
        text = read_suite_file(name, "environment.yaml", self.suite.data_path)
        signs = {slot: f"@@{slot}@@" for slot in slots}
        self._template = yaml.safe_load(text.format(**signs))
        plain = yaml.safe_load(text.format(**self.suite.get_injection_vector_defaults()))
        self._defaults: dict[str, str] = {}
        self._learn(self._template, plain)
        self.slots = [slot for slot in slots if slot in self._defaults]

    def _learn(self, template, plain) -> None:
        """The value of each slot as the environment's own file reads it, escapes and all."""
        if isinstance(template, dict):
            pairs = list(zip(template.items(), plain.items()))
            for (key, value), (other_key, other) in pairs:
                self._learn(key, other_key)
                self._learn(value, other)
        elif isinstance(template, list):
            for value, other in zip(template, plain):
                self._learn(value, other)
        elif isinstance(template, str) and "@@" in template:
            names = re.findall(r"@@(\w+)@@", template)
            pattern = re.sub(r"@@\w+@@", "(.*)", re.escape(template).replace("@@", "@@"))
            found = re.fullmatch(pattern, plain, re.DOTALL)
            assert found, template
            self._defaults.update(zip(names, found.groups()))

    def _filled(self, value, texts):
        if isinstance(value, dict):
            return {self._filled(key, texts): self._filled(item, texts) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, texts) for item in value]
        if isinstance(value, str) and "@@" in value:
            return re.sub(r"@@(\w+)@@", lambda found: texts[found[1]], value)
        return value

    def environment(self, task, injected: dict[str, str]):
        raw = self._filled(self._template, {**self._defaults, **injected})
        return task.init_environment(self.suite.environment_type.model_validate(copy.deepcopy(raw)))

    def perform(self, environment, name: str, arguments: dict):
        """Runs one tool; gives its result, the text a model would read, and an error or none."""
        result, error = self.runtime.run_function(environment, name, arguments)
        return result, error or tool_result_to_str(result), error

    def visible(self, task) -> set[str]:
        """The slots whose text some call of the task shows."""
        signs = {slot: f"{MARKER}-{slot}-" for slot in self.slots}
        environment = self.environment(task, signs)
        seen = set()
        for call in task.ground_truth(environment):
            _, text, _ = self.perform(environment, call.function, dict(call.args))
            seen |= {slot for slot, sign in signs.items() if sign in text}
        return seen

    def scripted(self, injection) -> bool:
        """Whether an injection task says which calls it would make."""
        environment = self.environment(next(iter(self.users.values())), {})
        try:
            return bool(injection.ground_truth(environment))
        except Exception:
            return False

    def judge(self, task, injection, before, after, performed: list[FunctionCall]) -> tuple[bool, bool | None]:
        """Utility, and where there is an injection whether the attacker succeeded."""
        output = [text_content_block_from_string(task.GROUND_TRUTH_OUTPUT)]
        utility = self.suite._check_user_task_utility(task, output, before, after, performed)
        security = None
        if injection is not None:
            security = self.suite._check_injection_task_security(injection, output, before, after, performed)
        return bool(utility), None if security is None else bool(security)


def script(suite: Suite, task, injection, environment):
    """The hijacked agent, as a generator of calls: yields (call, is_injected) and is sent the text of its result."""
    pending = None if injection is None else injection
    for call in task.ground_truth(environment):
        text = yield call, False
        if pending is not None and MARKER in text:
            pending = None
            for injected in injection.ground_truth(environment):
                yield injected, True
