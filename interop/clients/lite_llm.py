"""A small agent on LiteLLM: on its SDK, or on OpenAI's SDK before LiteLLM's proxy.

In: `lite_llm.py sdk|proxy stream|whole PROMPT [--structured] [--leave]`, and in the environment
`BASE_URL`, the gateway, and for the proxy `PROXY_URL`, its address. It asks, for an answer that
follows a schema if it is told to, runs the commands that the model calls for in the current
directory, sends their output back, and asks again after a failure; if it is told to, it leaves the
first answer in the middle. Out: one JSON object with `text`, `reasoning`, `calls`, and how each
request ended (`answers`); or exit code 1 and, on stderr, what in an answer was wrong.
"""

import json
import os
import sys
from functools import partial

import openai
from checks import EXEC_COMMAND, LEFT, WEATHER, must, run

ANSWERS_MAX = 6
TOOLS = [{"type": "function", "function": EXEC_COMMAND}]
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


def sdk():
    """What completes a chat by LiteLLM's SDK."""
    import litellm

    litellm.suppress_debug_info = True  # it goes where the result goes
    return partial(litellm.completion, model="openai/mock", api_base=os.environ["BASE_URL"],
                   api_key="none", max_retries=0, timeout=30)


def proxy():
    """What completes a chat by LiteLLM's proxy, which is told in each request where to ask."""
    client = openai.OpenAI(base_url=os.environ["PROXY_URL"], api_key="none", max_retries=0,
                           timeout=30)
    to_gateway = {"api_base": os.environ["BASE_URL"]}
    return partial(client.chat.completions.create, model="mock", extra_body=to_gateway)


def stream(complete, request):
    """The message that the chunks of a stream make, its end, and its usage."""
    text, thought, calls, finish, usage = "", "", {}, None, None
    for chunk in complete(**STREAM, **request):
        usage = getattr(chunk, "usage", None) or usage
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            text += choice.delta.content or ""
            thought += getattr(choice.delta, "reasoning_content", None) or ""
            for part in choice.delta.tool_calls or []:
                begun = {"name": part.function.name, "arguments": ""}
                call = {"type": "function", "id": part.id, "function": begun}
                call = calls.setdefault(part.index, call)
                call["function"]["arguments"] += part.function.arguments or ""
    message = {"role": "assistant", "content": text or None, "reasoning_content": thought}
    return message | ({"tool_calls": list(calls.values())} if calls else {}), finish, usage


def whole(complete, request):
    completion = complete(**request)
    choice = completion.choices[0]
    return choice.message.to_dict(), choice.finish_reason, completion.usage


def leave(complete, request):
    """Reads a stream up to its first text."""
    chunks = complete(stream=True, **request)
    next(chunk for chunk in chunks if chunk.choices[0].delta.content)
    # LiteLLM's own stream has no way to be closed but by the one that it reads.
    getattr(chunks, "completion_stream", chunks).close()


def refused(error):
    """How a request ended that failed. LiteLLM puts words around the message and drops the code."""
    _, found, message = str(error).partition("OpenAIException - ")
    must(found, f"the error does not say whose it is: {error!r}")
    in_stream = type(error).__name__ in ("APIError", "MidStreamFallbackError")
    status = 200 if in_stream else error.status_code
    return {"status": status, "outcome": "failed", "error": {"message": message}}


def ask(mode, complete, request):
    """One request: the answer, if it is complete, and how it ended."""
    try:
        message, finish, usage = mode(complete, request)
    except openai.APIError as error:
        return None, refused(error)
    wanted = "tool_calls" if message.get("tool_calls") else "stop"
    must(finish == wanted, f"the answer ends with {finish}")
    must(usage.total_tokens > 0, "the answer has no usage")
    return message, {"status": 200, "outcome": "completed"}


def main():
    complete = {"sdk": sdk, "proxy": proxy}[sys.argv[1]]()
    mode = {"stream": stream, "whole": whole}[sys.argv[2]]
    messages = [{"role": "user", "content": sys.argv[3]}]
    calls, reasoning, answers, message = [], [], [], None
    while len(answers) < ANSWERS_MAX:
        request = {"messages": messages, "tools": TOOLS}
        if "--structured" in sys.argv[4:]:
            request["response_format"] = {"type": "json_schema", "json_schema": WEATHER}
        if "--leave" in sys.argv[4:] and not answers:
            leave(complete, request)
            answers.append(LEFT)
            continue
        message, answer = ask(mode, complete, request)
        answers.append(answer)
        if message is None:
            continue
        messages.append(message)
        thought = message.get("reasoning_content")
        reasoning += [thought] if thought else []
        called = [call["function"] for call in message.get("tool_calls") or []]
        if not called:
            break
        calls += [call["name"] for call in called]
        for call in message["tool_calls"]:
            printed = run(call["function"]["name"], call["function"]["arguments"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": printed})
    print(json.dumps({"text": message["content"] if message else None, "calls": calls,
                      "reasoning": " ".join(reasoning), "answers": answers}))


main()
