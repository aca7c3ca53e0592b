#!/usr/bin/env python3
"""An agent for Latimer's backplane, in the standard library alone: it reads a work order from standard
input, a message a line, and says what it does on standard output.

    latimer serve --upstream "stdio:python3 examples/sidecar.py"

It is no model. What it does, the last message of the user says:

    call NAME {"a": 1}   calls a tool that the client offers, and then says what it answered;
                         with `and say TEXT` behind it, says that instead
    run COMMAND          says that it has run a command
    fail, die, hang      ends badly, as an agent may
    fail without FILE    ends badly where the file is not there, and makes it
    anything else        is said back, word by word
"""

import datetime
import json
import os
import re
import sys
import time

CONTRACT = "abp/v0.1"
BACKEND = {"id": "example-sidecar", "backend_version": "1", "adapter_version": None}
CAPABILITIES = {"streaming": "native", "function_calling": "native", "system_message": "emulated"}


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


class Run:
    """One run: tells what happens, and keeps it for the receipt."""

    def __init__(self, run_id, order):
        self.id, self.order, self.began, self.trace = run_id, order, now(), []
        abp = order.get("config", {}).get("vendor", {}).get("abp") or {}
        self.messages = abp.get("conversation", {}).get("messages", [])
        self.tools = {tool["name"] for tool in abp.get("tools", [])}

    def say(self, kind, **members):
        event = {"ts": now(), "type": kind, **members}
        self.trace.append(event)
        write({"t": "event", "ref_id": self.id, "event": event})

    def text(self, text):
        for word in re.findall(r"\S+\s*", text):
            self.say("assistant_delta", text=word)
        self.say("assistant_message", text=text)

    def end(self, outcome):
        words = sum(len(event.get("text", "").split()) for event in self.trace)
        receipt = {
            "meta": {
                "run_id": self.id,
                "work_order_id": self.order["id"],
                "contract_version": CONTRACT,
                "started_at": self.began,
                "finished_at": now(),
                "duration_ms": 0,
            },
            "backend": BACKEND,
            "capabilities": CAPABILITIES,
            "mode": "mapped",
            "usage_raw": {"words": words},
            "usage": {"input_tokens": len(self.order["task"].split()), "output_tokens": words},
            "trace": self.trace,
            "outcome": outcome,
        }
        write({"t": "final", "ref_id": self.id, "receipt": receipt})

    def result(self):
        """What the tool that was called last has answered, where that is what came last."""
        blocks = self.messages[-1]["content"] if self.messages else []
        results = [block for block in blocks if block["type"] == "tool_result"]
        texts = [part.get("text", "") for block in results for part in block["content"]]
        return "\n".join(texts) if results else None

    def work(self):
        task, result = self.order["task"].strip(), self.result()
        self.say("run_started", message=task)
        call = re.search(r"^call (\S+)\s*(\{.*\})?(?: and say (.+))?", task, re.MULTILINE)
        command = re.search(r"^run (.+)", task, re.MULTILINE)
        without = re.search(r"^fail without (\S+)$", task)
        if result is not None:
            self.text(call and call[3] or f"The tool answered: {result}")
        elif call and call[1] in self.tools:
            arguments = json.loads(call[2] or "{}")
            self.say("tool_call", tool_name=call[1], tool_use_id=f"call_{self.id}", input=arguments)
        elif command:
            self.say("command_executed", command=command[1], exit_code=0, output_preview="done")
            self.text("It is done.")
        elif task == "fail" or (without and not os.path.exists(without[1])):
            if without:
                open(without[1], "w").close()
            self.say("error", message="the example was told to fail", error_code="told_to_fail")
            return self.end("failed")
        elif task == "die":
            print("the example was told to die", file=sys.stderr)
            sys.exit(3)
        elif task == "hang":
            self.say("assistant_delta", text="wait ")
            time.sleep(3600)
        else:
            self.text(f"You said: {task}")
        self.say("run_completed", message="done")
        return self.end("complete")


def write(message):
    print(json.dumps(message), flush=True)


def main():
    write({"t": "hello", "contract_version": CONTRACT, "backend": BACKEND,
           "capabilities": CAPABILITIES, "mode": "mapped"})
    for line in sys.stdin:
        message = json.loads(line)
        if message["t"] == "run":
            Run(message["id"], message["work_order"]).work()
            return


if __name__ == "__main__":
    main()
