// What the agents on Node SDKs share: the tool they offer, what it does, and how they wait.
//
// It sends nothing and prints nothing; what does not hold ends the program, with the reason on stderr.

import { spawnSync } from "node:child_process";
import { basename } from "node:path";

export const ANSWERS_MAX = 6;
const COMMAND_TIMEOUT_MS = 20_000;
// The one tool that is offered, without what a dialect puts around it.
export const EXEC_COMMAND = {
  name: "exec_command",
  description: "Runs a shell command and returns what it prints.",
  strict: true,
  parameters: {
    type: "object",
    properties: { cmd: { type: "string" } },
    required: ["cmd"],
    additionalProperties: false,
  },
};

// What an answer is to be that follows a schema.
export const WEATHER = {
  name: "Weather",
  strict: true,
  schema: {
    type: "object",
    properties: {
      city: { type: "string" },
      celsius: { type: "integer" },
      notes: { type: "array", items: { type: "string" } },
    },
    required: ["city", "celsius", "notes"],
    additionalProperties: false,
  },
};
// A picture of one pixel.
export const PICTURE =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ" +
  "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
// How a request ends whose answer the client leaves.
export const LEFT = { status: 200, outcome: "cancelled" };

// Sends each request to the gateway that had not the request before.
export function inTurn(gateways) {
  let turn = 0;
  return (url, init) => {
    const there = new URL(url);
    there.host = new URL(gateways[turn++ % gateways.length]).host;
    return fetch(there, init);
  };
}

export function must(holds, what) {
  if (holds) return;
  console.error(`${basename(process.argv[1])}: ${what}`);
  process.exit(1);
}

// What the command that the model calls for prints.
export function run({ cmd }) {
  const options = { encoding: "utf8", timeout: COMMAND_TIMEOUT_MS };
  return spawnSync("sh", ["-c", cmd], options).stdout;
}

// Tells how a request ended, once it may be asked again. An error that came in a stream has no
// status of its own.
export async function refused({ status = 200, retryAfter, code, message }) {
  await new Promise((resolve) => setTimeout(resolve, 1000 * Number(retryAfter ?? 0)));
  return { status, outcome: "failed", retry_after: retryAfter, error: { code, message } };
}

// The same, for an error that the official SDK has thrown.
export async function thrown(error, { APIError, APIConnectionError }) {
  const fromBackend = error instanceof APIError && !(error instanceof APIConnectionError);
  if (!fromBackend) throw error;
  must(error.constructor !== APIError || !error.status, `the SDK has no class for it: ${error}`);
  const { status, code, error: body, headers } = error;
  const retryAfter = headers?.get("retry-after") ?? undefined;
  return refused({ status, retryAfter, code, message: body.message });
}
