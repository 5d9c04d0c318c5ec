// The benchmark's HTTP server on the official TypeScript SDK, version 1, on node:http: a transport and a server for each
// session, or without sessions for each request.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

const option = { type: "string" };
const { values } = parseArgs({ options: { port: option, tools: option, answer: option, sessions: option } });

const reply = (text) => ({ content: [{ type: "text", text }] });
const textOnly = { text: z.string() };
const filler = { text: z.string(), count: z.number().int().default(1) };

function build() {
  const server = new McpServer({ name: "bench", version: "0" }, { capabilities: { tools: {} } });
  server.registerTool("echo", { description: "Returns its text.", inputSchema: textOnly }, async ({ text }) => reply(text));
  const description = "Returns its text after a progress message.";
  server.registerTool("echo_progress", { description, inputSchema: textOnly }, async ({ text }, extra) => {
    const params = { progressToken: extra._meta.progressToken, progress: 1 };
    await extra.sendNotification({ method: "notifications/progress", params });
    return reply(text);
  });
  for (let number = 0; number < Number(values.tools) - 2; number += 1) {
    const name = `filler_${String(number).padStart(3, "0")}`;
    const listed = { description: `Does nothing; it is ${name} of the list.`, inputSchema: filler };
    server.registerTool(name, listed, async ({ text }) => reply(text));
  }
  return server;
}

const sessions = new Map();

async function serve(request, response) {
  const id = request.headers["mcp-session-id"];
  let transport = sessions.get(id);
  if (transport === undefined) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: values.sessions === "yes" ? randomUUID : undefined,
      enableJsonResponse: values.answer === "json",
      onsessioninitialized: (made) => sessions.set(made, transport),
    });
    await build().connect(transport);
  }
  await transport.handleRequest(request, response);
}

createServer(serve).listen(Number(values.port), "127.0.0.1");
