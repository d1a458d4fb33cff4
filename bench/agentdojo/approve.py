"""The person who is asked: looks into the gate's inbox and answers there, with the gate's own commands. See README.md for what this stands for."""

from __future__ import annotations

import asyncio
import json
import pathlib

# How long a call is waited for before the inbox is looked into, and how long between two looks. Seconds.
FIRST_LOOK = 0.2
LOOK = 0.1


class Person:
    """Says yes to the user task's own calls and no to everything else. Knows a question by what the gate shows of it."""

    def __init__(self, lockgate: str, journal: pathlib.Path, endorses: bool):
        self._lockgate = lockgate
        self._journal = str(journal)
        self._endorses = endorses

    async def _command(self, *arguments: str) -> list[dict]:
        process = await asyncio.create_subprocess_exec(
            self._lockgate, "approvals", *arguments, "--json", "--journal", self._journal,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        told, trouble = await process.communicate()
        assert process.returncode == 0, (arguments, told, trouble)
        said = json.loads(told)
        return said if isinstance(said, list) else [said]

    async def wait_for(self, call: asyncio.Task, tool: str, arguments: dict, wanted: bool) -> list[dict]:
        """Answers what is asked until the call has its result, and says what was asked."""
        asked: list[dict] = []
        await asyncio.wait({call}, timeout=FIRST_LOOK)
        while not call.done():
            for question in await self._command("list"):
                assert not asked, ("a second question for one call", asked, question)
                asked.append(await self._answer(question, tool, arguments, wanted))
            await asyncio.wait({call}, timeout=LOOK)
        return asked

    async def _answer(self, question: dict, tool: str, arguments: dict, wanted: bool) -> dict:
        # The yes is for the call that was just made, as the gate shows it, and for nothing else.
        shown = question["op"] + json.dumps(question["args"])
        assert tool in shown and same(question["args"], arguments), (tool, arguments, question)
        flags = ["--endorse"] if wanted and self._endorses and question["origins"] else []
        verb = "approve" if wanted else "deny"
        [answered] = await self._command(verb, question["id"], "--digest", question["digest"], *flags)
        assert answered["value"]["state"] == ("approved" if wanted else "denied"), answered
        return {
            "tool": tool, "args": arguments, "injected": not wanted, "approved": wanted, "endorsed": bool(flags),
            "code": "approval_required", "message": "; ".join(question["reasons"]), "origins": question["origins"],
        }


def same(shown, arguments: dict) -> bool:
    """Whether the arguments that the gate shows are those of the call."""
    return json.dumps(shown, sort_keys=True) == json.dumps(arguments, sort_keys=True)
