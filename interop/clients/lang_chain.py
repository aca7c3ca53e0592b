"""A small agent on LangChain's `ChatOpenAI`, as its users write one.

In: `lang_chain.py stream|whole PROMPT [--structured] [--leave]`, and in the environment `BASE_URL`,
the gateway. It asks, for an answer that follows a schema if it is told to, runs the commands that
the model calls for in the current directory, sends their output back, and asks again after a
failure; if it is told to, it leaves the first answer in the middle. Out: one JSON object with
`text`, `reasoning`, `calls`, and how each request ended (`answers`); or exit code 1 and, on stderr,
what in an answer was wrong.
"""

import json
import os
import sys

import openai
from checks import LEFT, Weather, must, refused, run_command
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

ANSWERS_MAX = 6


@tool
def exec_command(cmd: str) -> str:
    """Runs a shell command and returns what it prints."""
    return run_command(cmd)


def stream(model, messages):
    whole = None
    for chunk in model.stream(messages):
        whole = chunk if whole is None else whole + chunk
    must(whole is not None, "the stream has no chunk")
    return whole


def whole(model, messages):
    return model.invoke(messages)


def leave(model, messages):
    """Reads a stream up to its first text."""
    stream = model.stream(messages)
    next(chunk for chunk in stream if chunk.content)
    stream.close()


def ask(mode, model, messages):
    """One request: the answer, if it is complete, and how it ended."""
    try:
        answer = mode(model, messages)
    except openai.APIError as error:
        return None, refused(error)
    if isinstance(answer, dict):
        answer, parsed = answer["raw"], answer["parsed"]
        wanted = Weather.model_validate_json(answer.content)
        must(parsed == wanted, f"{answer.content} was read as {parsed}")
    return answer, {"status": 200, "outcome": "completed"}


def main():
    mode = {"stream": stream, "whole": whole}[sys.argv[1]]
    model = ChatOpenAI(base_url=os.environ["BASE_URL"], api_key="none", model="mock",
                       max_retries=0, timeout=30, stream_usage=True, use_responses_api=False)
    if "--structured" in sys.argv[3:]:
        model = model.with_structured_output(Weather, include_raw=True)
    else:
        model = model.bind_tools([exec_command])
    messages, calls, answers, answer = [HumanMessage(sys.argv[2])], [], [], None
    while len(answers) < ANSWERS_MAX:
        if "--leave" in sys.argv[3:] and not answers:
            leave(model, messages)
            answers.append(LEFT)
            continue
        answer, ended = ask(mode, model, messages)
        answers.append(ended)
        if answer is None:
            continue
        messages.append(answer)
        must(not answer.invalid_tool_calls, f"calls are wrong: {answer.invalid_tool_calls}")
        finish = "tool_calls" if answer.tool_calls else "stop"
        must(answer.response_metadata["finish_reason"] == finish,
             f"the answer ends with {answer.response_metadata}")
        must(answer.usage_metadata["total_tokens"] > 0, "the answer has no usage")
        if not answer.tool_calls:
            break
        for call in answer.tool_calls:
            must(call["name"] == exec_command.name, f"the model calls {call['name']}")
            calls.append(call["name"])
            messages.append(exec_command.invoke(call))
    print(json.dumps({"text": answer.content if answer else None, "calls": calls, "reasoning": "",
                      "answers": answers}))


main()
