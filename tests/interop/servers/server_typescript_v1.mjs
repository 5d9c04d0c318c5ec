// The server of `@modelcontextprotocol/sdk` 1.32, by its `McpServer`: the official fixture as far as that API reaches.
//
// Facts, read in 1.32.2 and seen on the wire: `initialize` grants 2025-11-25, 2025-06-18, 2025-03-26, 2024-11-05 (and
// 2024-10-07) when asked, else 2025-11-25; there is no modern era, `server/discover` is -32601. Subscriptions need handlers
// on the low-level server inside. Log messages below the level set with `logging/setLevel` are dropped, if the sender names
// the session. Over HTTP each session has a server object of its own; what is sent without the id of a request travels on
// the stream that the client opened with GET: sampling, roots, logs and changes do so here, elicitation does not.
import { randomUUID } from "node:crypto";
import { completable } from "@modelcontextprotocol/sdk/server/completable.js";
import { McpServer, ResourceTemplate } from "@modelcontextprotocol/sdk/server/mcp.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import * as fixture from "./fixture.mjs";

const { text } = fixture;
const progress = (extra, value) =>
  extra.sendNotification({
    method: "notifications/progress",
    params: { progressToken: extra._meta.progressToken, progress: value, total: 100 },
  });

function registerTools(server, subscribed) {
  const tool = (name, description, inputSchema, handler, more = {}) =>
    server.registerTool(name, { description, inputSchema, ...more }, handler);

  tool("test_simple_text", "Plain text.", {}, () => text("This is a simple text response for testing."));
  tool("test_image_content", "An image.", {}, () => ({ content: [fixture.image] }));
  tool("test_audio_content", "A sound.", {}, () => ({ content: [fixture.audio] }));
  tool("test_embedded_resource", "A resource.", {}, () => ({ content: [fixture.embedded] }));
  tool("test_multiple_content_types", "All kinds.", {}, () => ({
    content: [{ type: "text", text: "Multiple content types test:" }, fixture.image, fixture.mixed],
  }));
  tool("test_error_handling", "Fails.", {}, () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  tool("test_tool_with_progress", "Reports progress.", {}, async (_args, extra) => {
    for (const value of [0, 50, 100]) {
      await progress(extra, value);
      await fixture.sleep(20);
    }
    return text("Tool with progress executed successfully");
  });
  tool("test_tool_with_logging", "Logs.", {}, async (_args, extra) => {
    for (const data of fixture.LOGS) await server.sendLoggingMessage({ level: "info", data }, extra.sessionId);
    return text("Tool with logging executed successfully");
  });
  tool("test_log_levels", "Logs at every level.", {}, async (_args, extra) => {
    for (const level of ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"])
      await server.sendLoggingMessage({ level, data: level }, extra.sessionId);
    return text("logged");
  });
  tool("test_elicitation", "Asks the user.", { message: z.string() }, async ({ message }, extra) => {
    const related = { relatedRequestId: extra.requestId };
    return fixture.answered(await server.server.elicitInput({ message, requestedSchema: fixture.USER_SCHEMA }, related));
  });
  tool("test_sampling", "Asks the client's model.", { prompt: z.string() }, async ({ prompt }) => {
    const messages = [fixture.userSays({ type: "text", text: prompt })];
    const answer = await server.server.createMessage({ messages, maxTokens: 100 });
    return text(`LLM response: ${answer.content.text}`);
  });
  tool("test_input_required_result_list_roots", "Asks for the client's roots.", {}, async () => {
    const { roots } = await server.server.listRoots();
    return text(roots.map((root) => root.uri).join(","));
  });
  tool("test_echo", "Repeats a text.", { text: z.string(), repeat: z.number().int().default(1) }, (args) =>
    text(args.text.repeat(args.repeat)),
  );
  tool("test_slow", "Works for a while.", { ms: z.number(), tag: z.string() }, async ({ ms, tag }, extra) =>
    text(await fixture.work(ms, tag, extra.signal)),
  );
  tool("test_counter", "Counts the steps of test_slow.", { tag: z.string() }, ({ tag }) =>
    text(String(fixture.steps.get(tag) ?? 0)),
  );
  tool("test_add", "Adds.", { a: z.number().int(), b: z.number().int() }, ({ a, b }) => text(String(a + b)));
  tool(
    "test_structured_output",
    "Structured output.",
    {},
    () => {
      const structuredContent = { temperature: 21.5, conditions: "sunny" };
      return text(JSON.stringify(structuredContent), { structuredContent });
    },
    { outputSchema: { temperature: z.number(), conditions: z.string() } },
  );
  tool("test_trigger_tool_change", "Changes the list of tools.", {}, () => {
    server.sendToolListChanged();
    return text("changed");
  });
  tool("test_trigger_prompt_change", "Changes the list of prompts.", {}, () => {
    server.sendPromptListChanged();
    return text("changed");
  });
  tool("test_trigger_resource_update", "Updates a resource.", { uri: z.string() }, async ({ uri }) => {
    if (subscribed.has(uri)) await server.server.sendResourceUpdated({ uri });
    return text("updated");
  });
}

function registerResources(server, subscribed) {
  server.registerResource("static-text", "test://static-text", { mimeType: "text/plain" }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: "text/plain", text: "This is the content of the static text resource." }],
  }));
  server.registerResource("static-binary", "test://static-binary", { mimeType: "image/png" }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: "image/png", blob: fixture.PNG }],
  }));
  server.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { mimeType: "application/json" },
    (uri, { id }) => ({ contents: [{ uri: uri.href, mimeType: "application/json", text: fixture.templateText(id) }] }),
  );
  server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    subscribed.add(params.uri);
    return {};
  });
  server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    subscribed.delete(params.uri);
    return {};
  });
}

function registerPrompts(server) {
  const says = (...contents) => ({ messages: contents.map(fixture.userSays) });
  server.registerPrompt("test_simple_prompt", { description: "No arguments." }, () =>
    says({ type: "text", text: "This is a simple prompt for testing." }),
  );
  server.registerPrompt(
    "test_prompt_with_arguments",
    { description: "Two arguments.", argsSchema: { arg1: completable(z.string(), fixture.startingWith), arg2: z.string() } },
    ({ arg1, arg2 }) => says({ type: "text", text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` }),
  );
  server.registerPrompt("test_prompt_with_image", { description: "An image." }, () =>
    says(fixture.image, { type: "text", text: "Please analyze the image above." }),
  );
}

function makeServer() {
  const server = new McpServer(
    { name: "interop-typescript-v1", version: "1.32" },
    {
      capabilities: { logging: {}, resources: { subscribe: true, listChanged: true } },
      instructions: "A peer for interoperability tests.",
    },
  );
  const subscribed = new Set();
  registerTools(server, subscribed);
  registerResources(server, subscribed);
  registerPrompts(server);
  return server;
}

async function serveStreamableHttp(sessions, request, response) {
  const id = request.headers["mcp-session-id"];
  let transport = sessions.get(id);
  if (!transport && id) return response.writeHead(404).end();
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (created) => sessions.set(created, transport),
      onsessionclosed: (closed) => sessions.delete(closed),
    });
    await makeServer().connect(transport);
  }
  await transport.handleRequest(request, response);
}

async function serveSse(sessions, request, response) {
  if (request.method === "GET") {
    const transport = new SSEServerTransport("/messages", response);
    sessions.set(transport.sessionId, transport);
    return makeServer().connect(transport);
  }
  const transport = sessions.get(new URL(request.url, "http://localhost").searchParams.get("sessionId"));
  return transport ? transport.handlePostMessage(request, response) : response.writeHead(404).end();
}

const [kind, port] = fixture.chosenTransport();
const sessions = new Map();
if (kind === "stdio") await makeServer().connect(new StdioServerTransport());
else if (kind === "sse") fixture.listen(port, ["/sse", "/messages"], (...exchange) => serveSse(sessions, ...exchange));
else fixture.listen(port, ["/mcp"], (...exchange) => serveStreamableHttp(sessions, ...exchange));
