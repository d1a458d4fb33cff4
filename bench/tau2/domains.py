"""The domains of tau-2 as `inspect_evals` ships them: tools over a database, and the calls of each task's ground truth."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import uuid
from dataclasses import dataclass, field

import mcp_types as types
from inspect_ai.tool import ToolDef, ToolError
from inspect_evals.tau2.banking.BankingUserTools import BankingUserTools
from inspect_evals.tau2.banking.environment import apply_initial_state
from inspect_evals.tau2.data_model.tasks import Task
from inspect_evals.tau2.utils import TAU2_DATA_DIR
from serve import Served

TOOLKITS = {"airline": "AirlineAgentTools", "retail": "RetailAgentTools", "banking": "BankingAgentTools"}
DATA = {"airline": "airline", "retail": "retail", "banking": "banking_knowledge"}


@dataclass
class Desk:
    """The tools over one database, before or after some calls."""

    agent: object
    user: object | None
    looked_up: set = field(default_factory=set)

    def state(self) -> dict:
        return self.agent.db.model_dump()


class Domain:
    def __init__(self, name: str):
        self.name = name
        self._toolkit = getattr(importlib.import_module(f"inspect_evals.tau2.{name}.{TOOLKITS[name]}"), TOOLKITS[name])
        self._tools = {definition.name.removeprefix("banking_"): definition for definition in definitions(name)}
        loader = self._toolkit(instance=uuid.uuid4().hex)
        loader.initialize()
        self._database = loader.db
        tasks = json.loads((TAU2_DATA_DIR / "domains" / DATA[name] / "tasks.json").read_text())
        self.tasks = [Task.model_validate(task) for task in tasks]

    def described(self) -> list[types.Tool]:
        return [
            types.Tool(name=name, description=tool.description, input_schema=tool.parameters.model_dump(exclude_none=True))
            for name, tool in self._tools.items()
        ]

    def desk(self, task: Task) -> Desk:
        agent = self._toolkit(instance=uuid.uuid4().hex)
        agent.db, agent.initialized = copy.deepcopy(self._database), True
        if self.name != "banking":
            return Desk(agent, None)
        user = BankingUserTools(instance=uuid.uuid4().hex)
        user.db, user.initialized = agent.db, True
        apply_initial_state(agent, user, task.initial_state)
        return Desk(agent, user)

    async def perform(self, tools: object, name: str, arguments: dict) -> tuple[str, bool]:
        """The tool's text, and whether it is an error."""
        method = getattr(tools, name, None) or self._tools[name].tool
        try:
            told = method(**arguments)
            told = await told if inspect.isawaitable(told) else told
        except ToolError as error:
            return str(error), True
        return told if isinstance(told, str) else json.dumps(told), False


def definitions(name: str) -> list[ToolDef]:
    module = importlib.import_module(f"inspect_evals.tau2.{name}.tools")
    made = [make for make in vars(module).values() if inspect.isfunction(make) and hasattr(make, "__registry_info__")]
    return [ToolDef(make()) for make in made]


class DomainServer(Served):
    """A domain whose desk is the one that the task at hand sets. A result that is JSON is given as structured content too."""

    def __init__(self, domain: Domain):
        super().__init__(domain.name, domain.described())
        self._domain = domain
        self.desk: Desk | None = None

    async def perform(self, name: str, arguments: dict):
        text, failed = await self._domain.perform(self.desk.agent, name, arguments)
        return read(text), text, failed


def read(text: str):
    try:
        return json.loads(text)
    except ValueError:
        return text


def calls(task: Task) -> list:
    return (task.evaluation_criteria.actions or []) if task.evaluation_criteria else []


def prompt(task: Task) -> str:
    """What the simulated customer is told to want, to know and to do: all that a customer could say."""
    said = task.user_scenario.instructions
    if isinstance(said, str):
        return said
    return "\n\n".join(text for text in (said.reason_for_call, said.known_info, said.task_instructions) if text)


def look_ups(domain: str, desk: Desk, said: str, name: str, arguments: dict) -> list[tuple[str, dict]]:
    """What an agent has to read before a call and the ground truth leaves out: whose record it is, and the record itself."""
    wanted = []
    if domain == "banking":
        if name == "log_verification":
            wanted += [("get_user_information_by_name", {"customer_name": arguments["name"]}), ("get_current_time", {})]
        for key in ("agent_tool_name", "discoverable_tool_name"):
            if key in arguments:
                wanted.append(("grep", {"pattern": arguments[key]}))
    record, table = {"airline": ("reservation", "reservations"), "retail": ("order", "orders")}.get(domain, (None, None))
    if record:
        known = getattr(desk.agent.db, table).get(arguments.get(f"{record}_id"))
        owner = arguments.get("user_id") or (known.user_id if known else None)
        user = desk.agent.db.users.get(owner)
        if user and domain == "retail":
            wanted += identified(user, said)
        if user:
            wanted.append(("get_user_details", {"user_id": owner}))
        if known:
            wanted.append((f"get_{record}_details", {f"{record}_id": arguments[f"{record}_id"]}))
    fresh = [(tool, given) for tool, given in wanted if (tool, given) != (name, arguments)]
    return [one for one in fresh if key_of(*one) not in desk.looked_up]


def identified(user, said: str) -> list[tuple[str, dict]]:
    """How a customer who says this much is found."""
    if user.email.lower() in said.lower():
        return [("find_user_id_by_email", {"email": user.email})]
    proof = {"first_name": user.name.first_name, "last_name": user.name.last_name, "zip": user.address.zip}
    return [("find_user_id_by_name_zip", proof)] if all(value in said for value in proof.values()) else []


def key_of(name: str, arguments: dict) -> str:
    return name + json.dumps(arguments, sort_keys=True)
