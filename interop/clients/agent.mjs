// A small agent on the official Node SDK, which holds every event against it.
//
// In: `agent.mjs create|helper|whole|poll|resume|socket own|previous|conversation PROMPT [--structured]
// [--leave] [--picture]`, and in the environment `BASE_URL`, the gateway, and `SDK`, the directory
// that the SDK is installed in. It asks, runs the commands that the model calls for in the current
// directory, sends their output back, and asks again after a failure; the history it sends itself,
// or the gateway keeps it. With `poll` and `resume` the answer is made in the background: it is
// asked for until it is there, or its stream is left and taken up again. With `socket` all is said
// over one WebSocket. If it is told to, it asks
// for an answer that follows a schema, shows a picture, or leaves the first answer in the middle.
// Out: one JSON object with `text`, `reasoning`, `calls`, and how each request ended (`answers`); or
// exit code 1 and, on stderr, what in an answer was wrong.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";

import {
  ANSWERS_MAX,
  EXEC_COMMAND,
  LEFT,
  PICTURE,
  WEATHER,
  inTurn,
  must,
  run,
  thrown,
} from "./checks.mjs";
import { HISTORIES } from "./history.mjs";

const require = createRequire(`${process.env.SDK}/`);
const { OpenAI } = require("openai");

const TOOLS = [{ type: "function", ...EXEC_COMMAND }];
const POLL_MS = 20;
const UNFINISHED = ["queued", "in_progress"];
const TERMINAL = ["response.completed", "response.incomplete", "response.failed"];

// The SDK's types are gone when it runs; the kinds of events are read from its declarations.
function knownEvents() {
  const file = require.resolve("openai/resources/responses/responses").replace(/\.m?js$/, ".d.ts");
  const declared = readFileSync(file, "utf8").matchAll(/\btype: '(response\.[\w.]+|error)'/g);
  return new Set([...declared].map((match) => match[1]));
}

const KNOWN = knownEvents();
must(KNOWN.has("response.output_text.delta"), "cannot read which events the SDK declares");

// What one stream says, held against what a stream has to be.
class Watch {
  id;
  next = 0;
  deltas = "";
  last;
  done = [];

  see(event) {
    const { type, sequence_number: number } = event;
    must(KNOWN.has(type), `the SDK does not know the event ${type}`);
    must(number === this.next, `${type} has sequence number ${number}, not ${this.next}`);
    must(!TERMINAL.includes(this.last?.type), `${type} after the end`);
    must(this.next > 0 || type === "response.created", `${type} comes first`);
    if (type === "response.created") this.id = event.response.id;
    if (type === "response.output_item.done") this.done.push(event.item);
    if (type === "response.output_text.delta") this.deltas += event.delta;
    this.next += 1;
    this.last = event;
  }

  // The answer the stream ended with.
  response() {
    must(TERMINAL.includes(this.last?.type), "the stream has no end");
    const { response } = this.last;
    if (response.status === "completed") {
      must(isDeepStrictEqual(response.output, this.done), "the items at the end differ");
      must(textOf(response) === this.deltas, "the deltas differ from the text");
    }
    return response;
  }
}

async function watch(stream) {
  const watched = new Watch();
  for await (const event of stream) watched.see(event);
  return watched.response();
}

function textOf(response) {
  const parts = response.output.flatMap((item) => (item.type === "message" ? item.content : []));
  return parts.map((part) => part.text).join("");
}

const MODES = {
  create: async (client, request) =>
    watch(await client.responses.create({ ...request, stream: true })),
  helper: async (client, request) => {
    const stream = client.responses.stream(request);
    const response = await watch(stream);
    if (response.status !== "completed") return response;
    const final = await stream.finalResponse();
    must(final.output_text === textOf(response), "finalResponse() has another text");
    return parsed(final, request);
  },
  whole: async (client, request) => {
    const { responses } = client;
    const response = await (request.text ? responses.parse(request) : responses.create(request));
    must(response.output_text === textOf(response), "output_text is not the text");
    return parsed(response, request);
  },
  poll,
  resume,
  socket: overSocket,
};

// Over a WebSocket, which is kept from request to request.
let socket;
async function overSocket(client, request) {
  socket ??= new (require("openai/resources/responses/ws").ResponsesWS)(client);
  const watched = new Watch();
  const answer = new Promise((resolve, reject) => {
    const see = (event) => {
      watched.see(event);
      if (!TERMINAL.includes(event.type)) return;
      socket.off("event", see);
      socket.off("error", reject);
      resolve(watched.response());
    };
    socket.on("event", see);
    socket.on("error", reject);
  });
  socket.send({ type: "response.create", ...request });
  return answer;
}

// An answer that is made in the background, asked for until it is there.
async function poll({ responses }, request) {
  let response = await responses.create({ ...request, background: true });
  must(UNFINISHED.includes(response.status), `it begins as ${response.status}`);
  while (UNFINISHED.includes(response.status)) {
    await setTimeout(POLL_MS);
    response = await responses.retrieve(response.id);
  }
  return response;
}

// The same, whose stream is left after its first text and taken up again.
async function resume({ responses }, request) {
  const watched = new Watch();
  const begun = await responses.create({ ...request, background: true, stream: true });
  for await (const event of begun) {
    watched.see(event);
    if (event.type === "response.output_text.delta") break;
  }
  if (TERMINAL.includes(watched.last?.type)) return watched.response();
  const after = { stream: true, starting_after: watched.next - 1 };
  for await (const event of await responses.retrieve(watched.id, after)) watched.see(event);
  return watched.response();
}

// The same, if it has been read as what was asked for.
function parsed(response, request) {
  if (request.text) {
    const { output_text: text, output_parsed: read } = response;
    must(isDeepStrictEqual(read, JSON.parse(text)), `${text} was read as ${read}`);
  }
  return response;
}

// Reads a stream up to its first text; the SDK aborts what is not read to its end.
async function leave(mode, { responses }, request) {
  const streamed = { ...request, stream: true };
  const stream =
    mode === MODES.helper ? responses.stream(request) : await responses.create(streamed);
  for await (const { type } of stream) if (type === "response.output_text.delta") return LEFT;
  return must(false, "the stream came to its end");
}

// One request: the answer, if it is complete, and how it ended.
async function ask(mode, client, request) {
  try {
    const response = await mode(client, request);
    const answer = { status: 200, outcome: response.status };
    if (response.status !== "completed") {
      must(response.error || response.status !== "failed", "failed without an error");
      return [undefined, { ...answer, error: response.error }];
    }
    must(response.usage?.total_tokens >= 0, "the answer has no usage");
    return [response, answer];
  } catch (error) {
    return [undefined, await thrown(error, OpenAI)];
  }
}

function output({ call_id, name, arguments: given }) {
  must(name === EXEC_COMMAND.name, `the model calls ${name}`);
  return { type: "function_call_output", call_id, output: run(JSON.parse(given)) };
}

const [mode, keeper, prompt, ...options] = process.argv.slice(2);
const { BASE_URL, OTHER_URL } = process.env;
const client = new OpenAI({
  baseURL: BASE_URL,
  apiKey: "none",
  maxRetries: 0,
  timeout: 30_000,
  ...(OTHER_URL && { fetch: inTurn([BASE_URL, OTHER_URL]) }),
});
const shown = { type: "input_image", image_url: PICTURE, detail: "auto" };
const pictures = options.includes("--picture") ? [shown] : [];
const content = [{ type: "input_text", text: prompt }, ...pictures];
const history = new HISTORIES[keeper](client);
await history.begin();
history.say([{ role: "user", content }]);
const calls = [];
const reasoning = [];
const answers = [];
let response;
while (answers.length < ANSWERS_MAX) {
  const request = { model: "mock", tools: TOOLS, ...history.request() };
  if (options.includes("--structured")) {
    request.text = { format: { type: "json_schema", ...WEATHER } };
  }
  if (options.includes("--leave") && answers.length === 0) {
    answers.push(await leave(MODES[mode], client, request));
    continue;
  }
  const [complete, answer] = await ask(MODES[mode], client, request);
  answers.push(answer);
  response = complete;
  if (!response) continue;
  history.hear(response);
  const of = (type) => response.output.filter((item) => item.type === type);
  reasoning.push(...of("reasoning").flatMap((item) => item.summary.map((part) => part.text)));
  const called = of("function_call");
  if (called.length === 0) break;
  calls.push(...called.map((call) => call.name));
  history.say(called.map(output));
}
socket?.close();
await history.check(response, OpenAI);
const text = response ? textOf(response) : null;
console.log(JSON.stringify({ text, calls, reasoning: reasoning.join(" "), answers }));
