// What the two TypeScript servers of the peers share: the fixtures' constants, the transport they are started with, and work
// that can be cancelled and counted.
//
// The names and texts are those of the official fixture contract, as in fixture.py. No package is imported.
import { createServer } from "node:http";

export const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
export const WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";
export const LOGS = ["Tool execution started", "Tool processing data", "Tool execution completed"];
export const USER_SCHEMA = {
  type: "object",
  properties: { username: { type: "string" }, email: { type: "string" } },
  required: ["username", "email"],
};
export const text = (value, more = {}) => ({ content: [{ type: "text", text: value }], ...more });
export const image = { type: "image", data: PNG, mimeType: "image/png" };
export const audio = { type: "audio", data: WAV, mimeType: "audio/wav" };
export const embedded = {
  type: "resource",
  resource: { uri: "test://embedded-resource", mimeType: "text/plain", text: "This is an embedded resource content." },
};
export const mixed = {
  type: "resource",
  resource: { uri: "test://mixed-content-resource", mimeType: "application/json", text: '{"test":"data","value":123}' },
};
export const templateText = (id) => `{"id":"${id}","templateTest":true,"data":"Data for ID: ${id}"}`;
export const startingWith = (prefix) => ["python", "perl", "ruby"].filter((word) => word.startsWith(prefix));
export const answered = (result) =>
  text(`User response: action=${result.action}, content=${JSON.stringify(result.content ?? null)}`);
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const userSays = (content) => ({ role: "user", content });

/** ["stdio", 0] without arguments, else "http" (Streamable HTTP at /mcp) or "sse" (HTTP+SSE at /sse) and a port. */
export function chosenTransport() {
  const [kind = "stdio", port = "0"] = process.argv.slice(2);
  return [kind, Number(port)];
}

/** Serves `handle(request, response)` at one path of this machine's port; other paths are 404. */
export function listen(port, paths, handle) {
  createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    if (!paths.includes(pathname)) return response.writeHead(404).end();
    handle(request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  }).listen(port, "127.0.0.1");
}

/** The body of a request, which must be JSON. */
export async function readJson(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString());
}

export const steps = new Map();

/** Works in steps of 20 ms counted under the tag; an aborted signal stops the count. */
export async function work(ms, tag, signal) {
  for (let done = 0; done < ms; done += 20) {
    if (signal.aborted) throw new Error("cancelled");
    await sleep(20);
    steps.set(tag, (steps.get(tag) ?? 0) + 1);
  }
  return `done:${tag}`;
}
