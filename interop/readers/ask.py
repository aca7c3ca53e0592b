"""Says what others then read of: a turn with a tool, an answer that comes whole, one that fails."""

import json
import os
import urllib.error
import urllib.request

BASE = os.environ["OPENAI_BASE_URL"]
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}


def ask(session, **body):
    request = urllib.request.Request(
        BASE + "/responses",
        json.dumps({"model": "gpt-5.5", "stream": True, **body}).encode(),
        {"content-type": "application/json", "session-id": session, "thread-id": session},
    )
    try:
        return urllib.request.urlopen(request).read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


question = {"role": "user", "content": "The weather?"}
said = ask("with-tools", input=[question], tools=[TOOL])
assert "get_weather" in said, said
events = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("data: {")]
call = next(item for item in events[-1]["response"]["output"] if item["type"] == "function_call")
result = {"type": "function_call_output", "call_id": call["call_id"], "output": "Rain"}
assert "rains" in ask("with-tools", input=[question, call, result], tools=[TOOL])
assert "Hello" in ask("whole", input="Hi", stream=False)
assert "Later." in ask("failing", input="too much")
