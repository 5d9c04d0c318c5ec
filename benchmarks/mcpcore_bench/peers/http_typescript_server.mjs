// The benchmark's HTTP server on the official TypeScript SDK, version 2, on node:http.
//
// Modern requests go to createMcpHandler, which builds a server for each of them. Legacy ones go to a transport for each
// session, or without sessions to a fresh one each time; these can be told to answer with JSON.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

import { NodeStreamableHTTPServerTransport, toNodeHandler } from "@modelcontextprotocol/node";
import { McpServer, createMcpHandler } from "@modelcontextprotocol/server";
import { z } from "zod";

const option = { type: "string" };
const { values } = parseArgs({ options: { port: option, tools: option, answer: option, sessions: option } });

const reply = (text) => ({ content: [{ type: "text", text }] });
const textOnly = z.object({ text: z.string() });
const filler = z.object({ text: z.string(), count: z.number().int().default(1) });

function build() {
  const server = new McpServer({ name: "bench", version: "0" }, { capabilities: { tools: {} } });
  server.registerTool("echo", { description: "Returns its text.", inputSchema: textOnly }, async ({ text }) => reply(text));
  const description = "Returns its text after a progress message.";
  server.registerTool("echo_progress", { description, inputSchema: textOnly }, async ({ text }, { mcpReq }) => {
    const params = { progressToken: mcpReq._meta.progressToken, progress: 1 };
    await mcpReq.notify({ method: "notifications/progress", params });
    return reply(text);
  });
  for (let number = 0; number < Number(values.tools) - 2; number += 1) {
    const name = `filler_${String(number).padStart(3, "0")}`;
    const listed = { description: `Does nothing; it is ${name} of the list.`, inputSchema: filler };
    server.registerTool(name, listed, async ({ text }) => reply(text));
  }
  return server;
}

const modern = toNodeHandler(createMcpHandler(build));
const sessions = new Map();

async function legacy(request, response) {
  const id = request.headers["mcp-session-id"];
  let transport = sessions.get(id);
  if (transport === undefined) {
    transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: values.sessions === "yes" ? randomUUID : undefined,
      enableJsonResponse: values.answer === "json",
      onsessioninitialized: (made) => sessions.set(made, transport),
    });
    await build().connect(transport);
  }
  await transport.handleRequest(request, response);
}

createServer((request, response) =>
  request.headers["mcp-protocol-version"] === "2026-07-28" ? modern(request, response) : legacy(request, response),
).listen(Number(values.port), "127.0.0.1");
