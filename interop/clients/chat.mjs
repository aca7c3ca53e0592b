// A small agent on the official Node SDK's Chat Completions, which holds every chunk against it.
//
// In: `chat.mjs create|helper|whole|runner PROMPT [--structured] [--leave] [--picture] [--stop]`,
// and in the environment `BASE_URL`, the gateway, and `SDK`, the directory that the SDK is installed
// in. It asks, runs the commands that the model calls for in the current directory, sends their
// output back, and asks again after a failure; with `runner` the SDK's `runTools` does that. If it
// is told to, it asks for an answer that follows a schema or that stops before `###`, shows a
// picture, or leaves the first answer in the middle. Out: one JSON object with `text`, `reasoning`,
// `calls`, and how each request ended (`answers`); or exit code 1 and, on stderr, what was wrong.

import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";

import {
  ANSWERS_MAX,
  EXEC_COMMAND,
  LEFT,
  PICTURE,
  WEATHER,
  must,
  run,
  thrown,
} from "./checks.mjs";

const require = createRequire(`${process.env.SDK}/`);
const { OpenAI } = require("openai");

const STREAM = { stream: true, stream_options: { include_usage: true } };
const TOOLS = [{ type: "function", function: EXEC_COMMAND }];

// What one stream says, held against what a stream has to be.
class Watch {
  id;
  finish;
  usage;
  role;
  content = "";
  reasoning = "";
  calls = [];

  see({ id, object, created, choices, usage }) {
    must(object === "chat.completion.chunk", `a chunk is a ${object}`);
    must(Number.isInteger(created), `a chunk is from ${created}`);
    must(this.id === undefined || this.id === id, `the id changes from ${this.id} to ${id}`);
    must(!this.usage, "a chunk after the one with the usage");
    must((choices.length > 0) === !usage, "the usage has no chunk of its own");
    this.id = id;
    this.usage = usage;
    for (const { index, delta, finish_reason: finish } of choices) {
      must(index === 0, `nobody asked for choice ${index}`);
      must(!this.finish, "a choice goes on after its end");
      this.finish = finish;
      this.seeDelta(delta);
    }
  }

  seeDelta(delta) {
    must(this.role || delta.role === "assistant", "the first delta names no role");
    this.role ??= delta.role;
    this.content += delta.content ?? "";
    this.reasoning += delta.reasoning_content ?? "";
    for (const { index, id, type, function: part } of delta.tool_calls ?? []) {
      if (index === this.calls.length) {
        must(id && type === "function" && part.name, "a call begins without its id, type or name");
        this.calls.push({ id, type, function: { name: part.name, arguments: "" } });
      }
      const call = this.calls[index];
      must(call, `call ${index} comes too early`);
      must(id === undefined || id === call.id, "a call changes its id");
      call.function.arguments += part.arguments ?? "";
    }
  }

  // The answer that the stream told, as the SDK would have it whole.
  completion() {
    must(this.finish, "the stream ends without an error and without an end");
    const message = { role: this.role, content: this.content || null };
    if (this.reasoning) message.reasoning_content = this.reasoning;
    if (this.calls.length > 0) message.tool_calls = this.calls;
    return { choices: [{ index: 0, finish_reason: this.finish, message }], usage: this.usage };
  }
}

const MODES = {
  create: async (client, request) => {
    const watch = new Watch();
    const stream = await client.chat.completions.create({ ...request, ...STREAM });
    for await (const chunk of stream) watch.see(chunk);
    return watch.completion();
  },
  helper: async (client, request) => {
    const watch = new Watch();
    const stream = client.chat.completions.stream({ ...request, ...STREAM });
    for await (const chunk of stream) watch.see(chunk);
    const told = watch.completion();
    const completion = await stream.finalChatCompletion();
    const [ours, theirs] = [told, completion].map((one) => one.choices[0].message);
    // Before calls alone a backend says no text, or an empty one.
    must((theirs.content || null) === ours.content, `the helper has the text ${theirs.content}`);
    const facts = (message) =>
      (message.tool_calls ?? []).map((call) => [call.id, call.function.arguments]);
    must(isDeepStrictEqual(facts(ours), facts(theirs)), "the helper has other calls");
    parsed(completion, request);
    return { ...told, usage: completion.usage };
  },
  whole: async (client, request) =>
    request.response_format
      ? parsed(await client.chat.completions.parse(request), request)
      : client.chat.completions.create(request),
};

// The same, if it has been read as what was asked for.
function parsed(completion, request) {
  if (request.response_format) {
    const { content, parsed: read } = completion.choices[0].message;
    must(isDeepStrictEqual(read, JSON.parse(content)), `${content} was read as ${read}`);
  }
  return completion;
}

// One request: the message, if it is complete, and how it ended.
async function ask(mode, client, request) {
  try {
    const { choices, usage } = await mode(client, request);
    must(choices.length === 1, `there are ${choices.length} choices`);
    const [{ message, finish_reason: finish }] = choices;
    must(finish === (message.tool_calls ? "tool_calls" : "stop"), `the answer ends: ${finish}`);
    // Latimer leaves a backend that says more than it should before that has told the usage.
    must(usage?.total_tokens >= 0 || request.stop, "the answer has no usage");
    return [message, { status: 200, outcome: "completed" }];
  } catch (error) {
    return [undefined, await thrown(error, OpenAI)];
  }
}

function output({ id, function: { name, arguments: given } }) {
  must(name === EXEC_COMMAND.name, `the model calls ${name}`);
  return { role: "tool", tool_call_id: id, content: run(JSON.parse(given)) };
}

// Reads a stream up to its first text; the SDK aborts what is not read to its end.
async function leave(mode, client, messages) {
  const request = { model: "mock", messages, ...STREAM };
  const { completions } = client.chat;
  const stream =
    mode === MODES.helper ? completions.stream(request) : await completions.create(request);
  for await (const { choices } of stream) if (choices[0].delta.content) return LEFT;
  return must(false, "the stream came to its end");
}

async function converse(mode, client, messages, format, leaves) {
  const answers = leaves ? [await leave(mode, client, messages)] : [];
  while (answers.length < ANSWERS_MAX) {
    const request = { model: "mock", messages, tools: TOOLS, ...format };
    const [message, answer] = await ask(mode, client, request);
    answers.push(answer);
    if (!message) continue;
    messages.push(message);
    if (!message.tool_calls) break;
    messages.push(...message.tool_calls.map(output));
  }
  return [messages, answers];
}

// The same by the SDK's own loop, which parses the arguments and calls the function.
async function runTools(client, messages) {
  const exec = { ...EXEC_COMMAND, parse: JSON.parse, function: run };
  const tools = [{ type: "function", function: exec }];
  const runner = client.chat.completions.runTools({ model: "mock", messages, tools, ...STREAM });
  const watches = new Map();
  runner.on("chunk", (chunk) => {
    if (!watches.has(chunk.id)) watches.set(chunk.id, new Watch());
    watches.get(chunk.id).see(chunk);
  });
  await runner.done();
  // Not the runner's own messages: of members that the SDK does not know, like the reasoning, they
  // hold the last piece alone.
  const said = [...watches.values()].map((watch) => watch.completion().choices[0].message);
  must((await runner.finalContent()) === said.at(-1)?.content, "finalContent() is another text");
  return [said, said.map(() => ({ status: 200, outcome: "completed" }))];
}

const [mode, prompt, ...options] = process.argv.slice(2);
const client = new OpenAI({
  baseURL: process.env.BASE_URL,
  apiKey: "none",
  maxRetries: 0,
  timeout: 30_000,
});
const shown = { type: "image_url", image_url: { url: PICTURE } };
const content = [{ type: "text", text: prompt }, ...(options.includes("--picture") ? [shown] : [])];
const asked = [{ role: "user", content }];
const format = {};
if (options.includes("--stop")) format.stop = "###";
if (options.includes("--structured")) {
  format.response_format = { type: "json_schema", json_schema: WEATHER };
}
const [messages, answers] =
  mode === "runner"
    ? await runTools(client, asked)
    : await converse(MODES[mode], client, asked, format, options.includes("--leave"));
const said = messages.filter((message) => message.role === "assistant");
const calls = said.flatMap((message) => message.tool_calls ?? []).map((call) => call.function.name);
const reasoning = said.flatMap((message) => message.reasoning_content ?? []).join(" ");
console.log(JSON.stringify({ text: said.at(-1)?.content ?? null, calls, reasoning, answers }));
