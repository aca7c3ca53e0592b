"""An agent on OpenAI's Agents SDK for Python, which runs its tools and keeps its session itself.

In: `openai_agents.py whole|stream own|previous|conversation PROMPT [--then PROMPT]...`, and in the
environment `BASE_URL`, the gateway. Each prompt is a turn of one session, which the SDK keeps in
memory or the gateway keeps: by the answer before, or as a conversation. Out: one JSON object with
`text`, the last; `reasoning`, `calls`, and how each request ended (`answers`); or exit code 1 and,
on stderr, what went wrong.
"""

import asyncio
import json
import os
import sys

from agents import (
    Agent,
    OpenAIConversationsSession,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from checks import EXEC_COMMAND, must, run_command
from openai import AsyncOpenAI


@function_tool(name_override=EXEC_COMMAND["name"],
               description_override=EXEC_COMMAND["description"])
def exec_command(cmd: str) -> str:
    return run_command(cmd)


class Session:
    """One that the SDK knows: in its memory, or as a conversation of the server."""

    def __init__(self, session):
        self.session = session

    def options(self):
        return {"session": self.session}

    def heard(self, result):
        """The SDK has kept it."""


class Previous:
    """The server keeps it; each turn names the answer before."""

    def __init__(self):
        self.last = None

    def options(self):
        return {"previous_response_id": self.last, "auto_previous_response_id": True}

    def heard(self, result):
        self.last = result.last_response_id


async def whole(agent, prompt, options):
    return await Runner.run(agent, prompt, **options)


async def stream(agent, prompt, options):
    result, deltas = Runner.run_streamed(agent, prompt, **options), ""
    async for event in result.stream_events():
        if event.type != "raw_response_event":
            continue
        if event.data.type == "response.created":
            deltas = ""
        if event.data.type == "response.output_text.delta":
            deltas += event.data.delta
    must(result.final_output == deltas, f"the deltas {deltas!r} differ from the text")
    return result


async def main():
    mode = {"whole": whole, "stream": stream}[sys.argv[1]]
    client = AsyncOpenAI(base_url=os.environ["BASE_URL"], api_key="none", max_retries=0, timeout=30)
    history = {
        "own": lambda: Session(SQLiteSession("interop")),
        "previous": Previous,
        "conversation": lambda: Session(OpenAIConversationsSession(openai_client=client)),
    }[sys.argv[2]]()
    set_tracing_disabled(True)
    agent = Agent(name="interop", tools=[exec_command],
                  model=OpenAIResponsesModel(model="mock", openai_client=client))
    calls, answers = [], []
    for prompt in [sys.argv[3], *(said for said in sys.argv[4:] if said != "--then")]:
        result = await mode(agent, prompt, history.options())
        history.heard(result)
        calls += [item.raw_item.name for item in result.new_items if item.type == "tool_call_item"]
        answers += [{"status": 200, "outcome": "completed"} for _ in result.raw_responses]
        used = result.context_wrapper.usage
        must(used.requests == len(result.raw_responses) and used.total_tokens > 0, f"usage {used}")
    print(json.dumps({"text": result.final_output, "calls": calls, "reasoning": "",
                      "answers": answers}))


asyncio.run(main())
