// A small agent on the Vercel AI SDK, whose own loop runs the tools.
//
// In: `ai_sdk.mjs stream|whole compatible|chat|responses PROMPT [--structured] [--leave]`, and in
// the environment `BASE_URL`, the gateway, and `SDK`, the directory that the SDK is installed in.
// It asks by the provider for OpenAI's likes or by one of the two models of the provider for OpenAI,
// for an answer that follows a schema if it is told to, runs the commands that the model calls for
// in the current directory, and sends their output back; after a failure it begins again. If it is
// told to, it leaves the first answer in the middle. Out: one JSON object with `text`, `reasoning`,
// `calls`, and how each request ended (`answers`); or exit code 1 and, on stderr, what was wrong.

import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";

import { ANSWERS_MAX, EXEC_COMMAND, LEFT, WEATHER, must, refused, run } from "./checks.mjs";

const require = createRequire(`${process.env.SDK}/`);
const ai = require("ai");
const { createOpenAI } = require("@ai-sdk/openai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");

// It would print them where the result goes.
globalThis.AI_SDK_LOG_WARNINGS = false;
const SETTINGS = { baseURL: process.env.BASE_URL, apiKey: "none" };
const MODELS = {
  compatible: () =>
    createOpenAICompatible({
      ...SETTINGS,
      name: "latimer",
      includeUsage: true,
      supportsStructuredOutputs: true,
    })("mock"),
  chat: () => createOpenAI(SETTINGS).chat("mock"),
  responses: () => createOpenAI(SETTINGS).responses("mock"),
};

const MODES = {
  stream: async (request) => {
    // The errors are in the stream; the SDK would print them too.
    const result = ai.streamText({ ...request, onError: () => {} });
    let deltas = "";
    for await (const part of result.fullStream) {
      if (part.type === "error") throw part.error;
      must(part.type !== "tool-error", `a tool says ${part.error}`);
      if (part.type === "text-delta") deltas += part.text;
    }
    const steps = await result.steps;
    must(steps.map((step) => step.text).join("") === deltas, "the deltas differ from the text");
    return { steps, output: request.output && (await result.output) };
  },
  whole: async (request) => {
    const result = await ai.generateText(request);
    return { steps: result.steps, output: request.output && result.output };
  },
};

// Reads a stream up to its first text.
async function leave(request) {
  const leaving = new AbortController();
  const result = ai.streamText({ ...request, abortSignal: leaving.signal, onError: () => {} });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") leaving.abort();
    if (part.type === "abort") return LEFT;
  }
  return must(false, "the stream came to its end");
}

// How a request ended that failed, once it may be asked again.
async function failed(error) {
  if (ai.APICallError.isInstance(error)) {
    const { statusCode: status, responseHeaders: headers, data, message } = error;
    return refused({ status, retryAfter: headers["retry-after"], code: data.error.code, message });
  }
  // An error that came in the stream is its message, or the object around that.
  const told = typeof error === "string" ? { message: error } : error;
  must(told?.message, `the failure says ${JSON.stringify(error)}: ${error}`);
  return refused({ code: told.code, message: told.message });
}

const [mode, model, prompt, ...options] = process.argv.slice(2);
const execCommand = ai.tool({
  description: EXEC_COMMAND.description,
  inputSchema: ai.jsonSchema(EXEC_COMMAND.parameters),
  execute: run,
});
const request = {
  model: MODELS[model](),
  prompt,
  tools: { [EXEC_COMMAND.name]: execCommand },
  stopWhen: ai.stepCountIs(ANSWERS_MAX),
  maxRetries: 0,
  // Without this it sends ids for earlier items, as if they were stored.
  providerOptions: { openai: { store: false } },
};
if (options.includes("--structured")) {
  request.output = ai.Output.object({ name: WEATHER.name, schema: ai.jsonSchema(WEATHER.schema) });
}
const answers = options.includes("--leave") ? [await leave(request)] : [];
let steps = [];
let output;
while (steps.length === 0 && answers.length < ANSWERS_MAX) {
  try {
    ({ steps, output } = await MODES[mode](request));
    answers.push(...steps.map(() => ({ status: 200, outcome: "completed" })));
  } catch (error) {
    answers.push(await failed(error));
  }
}
for (const { finishReason, toolCalls, usage } of steps) {
  const expected = toolCalls.length > 0 ? "tool-calls" : "stop";
  must(finishReason === expected, `the answer ends with ${finishReason}`);
  must(usage.totalTokens > 0, "the answer has no usage");
}
const text = steps.at(-1)?.text ?? null;
const asRead = !request.output || isDeepStrictEqual(output, JSON.parse(text));
must(asRead, `${text} was read as ${JSON.stringify(output)}`);
const thoughts = steps.map((step) => step.reasoningText).filter(Boolean);
const calls = steps.flatMap((step) => step.toolCalls).map((call) => call.toolName);
console.log(JSON.stringify({ text, calls, reasoning: thoughts.join(" "), answers }));
