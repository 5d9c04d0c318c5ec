// The server of `@modelcontextprotocol/server` 2.4, by `McpServer` behind `serveStdio`: the official fixture as far as that
// API reaches.
//
// Facts, read in 2.4.0 and seen on the wire: `serveStdio` serves both eras, the opening request decides for the connection
// (a plain `StdioServerTransport` would be legacy only). `initialize` grants every legacy revision that is asked for. A tool
// asks by returning `inputRequired(...)`; in the legacy era the SDK turns that into requests to the client. Modern changes
// reach `subscriptions/listen` streams through the same `send*ListChanged` and `sendResourceUpdated`, over stdio; over HTTP
// the server object lives for one request and changes are published on the handler. `createMcpHandler` alone serves legacy
// clients without sessions, which can neither be asked nor told anything: here they are led to a transport with sessions.
import { randomUUID } from "node:crypto";
import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from "@modelcontextprotocol/node";
import {
  McpServer,
  ResourceTemplate,
  completable,
  createMcpHandler,
  inputRequired,
  inputResponse,
  isLegacyRequest,
} from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";
import * as fixture from "./fixture.mjs";

const { text } = fixture;

/** Asks one question by returning it; the answer is there when the handler is run again. */
async function ask(ctx, key, question, finish) {
  const view = inputResponse(ctx.mcpReq.inputResponses, key);
  if (view.kind === "missing") return inputRequired({ inputRequests: { [key]: question } });
  return finish(ctx.mcpReq.inputResponses[key]);
}

function registerTools(server, subscribed, notify) {
  const tool = (name, description, shape, handler, more = {}) =>
    server.registerTool(name, { description, inputSchema: z.object(shape), ...more }, handler);

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
  tool("test_tool_with_progress", "Reports progress.", {}, async (_args, ctx) => {
    const { progressToken } = ctx.mcpReq._meta;
    for (const progress of [0, 50, 100]) {
      await ctx.mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
      await fixture.sleep(20);
    }
    return text("Tool with progress executed successfully");
  });
  tool("test_tool_with_logging", "Logs.", {}, async (_args, ctx) => {
    for (const data of fixture.LOGS) await ctx.mcpReq.log("info", data);
    return text("Tool with logging executed successfully");
  });
  tool("test_log_levels", "Logs at every level.", {}, async (_args, ctx) => {
    for (const level of ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"])
      await ctx.mcpReq.log(level, level);
    return text("logged");
  });
  tool("test_elicitation", "Asks the user.", { message: z.string() }, ({ message }, ctx) =>
    ask(ctx, "user", inputRequired.elicit({ message, requestedSchema: fixture.USER_SCHEMA }), fixture.answered),
  );
  tool("test_sampling", "Asks the client's model.", { prompt: z.string() }, ({ prompt }, ctx) => {
    const messages = [fixture.userSays({ type: "text", text: prompt })];
    const question = inputRequired.createMessage({ messages, maxTokens: 100 });
    return ask(ctx, "model", question, (answer) => text(`LLM response: ${answer.content.text}`));
  });
  tool("test_input_required_result_list_roots", "Asks for the client's roots.", {}, (_args, ctx) =>
    ask(ctx, "roots", inputRequired.listRoots(), ({ roots }) => text(roots.map((root) => root.uri).join(","))),
  );
  tool("test_echo", "Repeats a text.", { text: z.string(), repeat: z.number().int().default(1) }, (args) =>
    text(args.text.repeat(args.repeat)),
  );
  tool("test_slow", "Works for a while.", { ms: z.number(), tag: z.string() }, async ({ ms, tag }, ctx) =>
    text(await fixture.work(ms, tag, ctx.mcpReq.signal)),
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
    { outputSchema: z.object({ temperature: z.number(), conditions: z.string() }) },
  );
  tool("test_trigger_tool_change", "Changes the list of tools.", {}, () => {
    notify.toolsChanged();
    return text("changed");
  });
  tool("test_trigger_prompt_change", "Changes the list of prompts.", {}, () => {
    notify.promptsChanged();
    return text("changed");
  });
  tool("test_trigger_resource_update", "Updates a resource.", { uri: z.string() }, async ({ uri }, ctx) => {
    if (ctx.mcpReq.envelope || subscribed.has(uri)) await notify.resourceUpdated(uri);
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
  server.server.setRequestHandler("resources/subscribe", ({ params }) => {
    subscribed.add(params.uri);
    return {};
  });
  server.server.setRequestHandler("resources/unsubscribe", ({ params }) => {
    subscribed.delete(params.uri);
    return {};
  });
}

function registerPrompts(server) {
  const says = (...contents) => ({ messages: contents.map(fixture.userSays) });
  server.registerPrompt("test_simple_prompt", { description: "No arguments." }, () =>
    says({ type: "text", text: "This is a simple prompt for testing." }),
  );
  const argsSchema = z.object({ arg1: completable(z.string(), fixture.startingWith), arg2: z.string() });
  server.registerPrompt("test_prompt_with_arguments", { description: "Two arguments.", argsSchema }, ({ arg1, arg2 }) =>
    says({ type: "text", text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` }),
  );
  server.registerPrompt("test_prompt_with_image", { description: "An image." }, () =>
    says(fixture.image, { type: "text", text: "Please analyze the image above." }),
  );
}

/** Tells of changes on the one connection that this server object has. */
const onConnection = (server) => ({
  toolsChanged: () => server.sendToolListChanged(),
  promptsChanged: () => server.sendPromptListChanged(),
  resourceUpdated: (uri) => server.server.sendResourceUpdated({ uri }),
});

function makeServer(notify) {
  const subscribed = new Set();
  const server = new McpServer(
    { name: "interop-typescript-v2", version: "2.4" },
    {
      capabilities: { logging: {}, resources: { subscribe: true, listChanged: true } },
      instructions: "A peer for interoperability tests.",
    },
  );
  registerTools(server, subscribed, notify ?? onConnection(server));
  registerResources(server, subscribed);
  registerPrompts(server);
  return server;
}

async function serveSession(sessions, request, response, body) {
  const id = request.headers["mcp-session-id"];
  let transport = sessions.get(id);
  if (!transport && id) return response.writeHead(404).end();
  if (!transport) {
    transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (created) => sessions.set(created, transport),
      onsessionclosed: (closed) => sessions.delete(closed),
    });
    await makeServer().connect(transport);
  }
  await transport.handleRequest(request, response, body);
}

function serveStreamableHttp(port) {
  const sessions = new Map();
  const handler = createMcpHandler(() => makeServer(handler.notify), { legacy: "reject" });
  const serveModern = toNodeHandler(handler);
  fixture.listen(port, ["/mcp"], async (request, response) => {
    const body = request.method === "POST" ? await fixture.readJson(request) : undefined;
    const legacy = await isLegacyRequest(await toWebRequest(request, body), body);
    return legacy ? serveSession(sessions, request, response, body) : serveModern(request, response, body);
  });
}

const [kind, port] = fixture.chosenTransport();
if (kind === "stdio") serveStdio(() => makeServer());
else serveStreamableHttp(port);
