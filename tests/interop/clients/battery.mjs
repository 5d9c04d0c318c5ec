// The fixed battery that both TypeScript clients run against the everything server, and the JSON object it prints.
//
// The same steps under the same names as in battery.py, and the same shape of the result; see there. What lives here is the
// battery; how one SDK sends a request lives in client_typescript_v1.mjs and client_typescript_v2.mjs, subclasses of
// Conversation. Nothing here judges. No package is imported, so that the file fits both environments.

export const STEP_MS = 12_000;
export const QUIET_MS = 3_000; // how long a step waits for a notification that was promised
export const WATCHED = "test://static-text";
export const ROOTS = [{ uri: "file:///test/root", name: "Test Root" }];
export const SAMPLED = { role: "assistant", content: { type: "text", text: "Paris" }, model: "test-model", stopReason: "endTurn" };
export const LOG_LEVEL = "io.modelcontextprotocol/logLevel";
const ANSWERS = { username: "testuser", email: "test@example.com", name: "Alice", color: "blue", context: "a test", ok: true, confirm: true };
const SAMPLES = { string: "text", integer: 7, number: 1.5, boolean: true };
const TEXT = 'naïve \u2028\u2029\u0085 "quoted" \\ \n\t 漢字 \u{1f600}';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What the harness answers to a form: declined where the message asks for it, else every property filled in. */
export function answerForm(params) {
  if (params.message.includes("decline")) return { action: "decline" };
  const content = {};
  for (const [name, schema] of Object.entries(params.requestedSchema.properties ?? {})) content[name] = valueFor(name, schema);
  return { action: "accept", content };
}

function valueFor(name, schema) {
  if ("default" in schema) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.oneOf) return schema.oneOf[0].const;
  if (schema.type === "array") return [schema.items.enum ? schema.items.enum[0] : schema.items.anyOf[0].const];
  return ANSWERS[name] ?? SAMPLES[schema.type];
}

/** One connection of one SDK: what comes in is noted in the order of arrival. A subclass implements the requests. */
export class Conversation {
  lacks = {};
  modern = false;
  asked = [];
  heard = [];
  faults = [];

  note(method, params) {
    this.heard.push({ method, params });
  }

  fault(error) {
    this.faults.push(`${error?.name ?? "Error"}: ${error?.message ?? error}`);
  }

  heardOf(method, since = 0) {
    return this.heard.slice(since).filter((note) => note.method === method).map((note) => note.params);
  }

  /** Waits until arrivals make the condition true; false when it did not become true within QUIET_MS. */
  async until(met) {
    const deadline = Date.now() + QUIET_MS;
    while (!met() && Date.now() < deadline) await sleep(10);
    return met();
  }
}

const plain = (name, args) => async (c) => {
  const start = c.asked.length;
  const result = await c.call(name, args);
  return { result, asked: c.asked.slice(start) };
};

const listing = (kind) => async (c) => {
  let items = [];
  let cursor;
  let pages = 0;
  do {
    const page = await c.listPage(kind, cursor);
    items = items.concat(page[kind]);
    cursor = page.nextCursor;
    pages += 1;
  } while (cursor !== undefined && pages < 20);
  return { items, pages };
};

const bothEras = {
  tools_list: listing("tools"),
  simple_text: plain("test_simple_text"),
  image_content: plain("test_image_content"),
  audio_content: plain("test_audio_content"),
  embedded_resource: plain("test_embedded_resource"),
  multiple_content_types: plain("test_multiple_content_types"),
  error_handling: plain("test_error_handling"),
  sampling: plain("test_sampling", { prompt: "What is the capital of France?" }),
  elicitation: plain("test_elicitation", { message: "Who are you?" }),
  elicitation_declined: plain("test_elicitation", { message: "Please decline this." }),
  elicitation_defaults: plain("test_elicitation_sep1034_defaults"),
  elicitation_enums: plain("test_elicitation_sep1330_enums"),
  input_required_elicitation: plain("test_input_required_result_elicitation"),
  input_required_sampling: plain("test_input_required_result_sampling"),
  input_required_list_roots: plain("test_input_required_result_list_roots"),
  input_required_request_state: plain("test_input_required_result_request_state"),
  input_required_multiple_inputs: plain("test_input_required_result_multiple_inputs"),
  input_required_multi_round: plain("test_input_required_result_multi_round"),
  structured_output: plain("test_structured_output"),
  add: plain("test_add", { a: 2, b: 3 }),
  add_bad_arguments: plain("test_add", { a: "two", b: 3 }),
  add_missing_argument: plain("test_add", { a: 2 }),
  unknown_tool: plain("no_such_tool"),
  echo_unicode: plain("test_echo", { text: TEXT, repeat: 2 }),
  echo_large: async (c) => {
    const result = await c.call("test_echo", { text: "0123456789", repeat: 30_000 });
    return { length: result.content[0].text.length, isError: result.isError ?? false };
  },
  concurrent: async (c) => {
    const calls = Array.from({ length: 20 }, (_, n) => c.call("test_echo", { text: `call ${n}` }));
    return (await Promise.all(calls)).map((result) => result.content[0].text);
  },
  progress: async (c) => {
    const seen = [];
    const onprogress = (p) => seen.push([p.progress, p.total ?? null, p.message ?? null]);
    const result = await c.call("test_tool_with_progress", undefined, { onprogress });
    const before = seen.length;
    await c.until(() => seen.length >= 3);
    return { result, progress: seen, before_result: before };
  },
  logging: async (c) => {
    const start = c.heard.length;
    if (!c.modern) await c.setLogLevel("debug");
    const result = await c.call("test_tool_with_logging", undefined, { logLevel: c.modern ? "debug" : undefined });
    await c.until(() => c.heardOf("notifications/message", start).length >= 3);
    return { result, messages: c.heardOf("notifications/message", start) };
  },
  log_levels: async (c) => {
    const start = c.heard.length;
    if (!c.modern) await c.setLogLevel("error");
    await c.call("test_log_levels", undefined, { logLevel: c.modern ? "error" : undefined });
    await c.call("test_simple_text");
    await c.until(() => c.heardOf("notifications/message", start).length >= 4);
    return c.heardOf("notifications/message", start).map((message) => message.level);
  },
  resources_list: listing("resources"),
  resource_templates_list: listing("resourceTemplates"),
  prompts_list: listing("prompts"),
  read_text: (c) => c.read("test://static-text"),
  read_binary: (c) => c.read("test://static-binary"),
  read_template: (c) => c.read("test://template/123/data"),
  read_unknown: (c) => c.read("test://no/such/resource"),
  prompt_simple: (c) => c.getPrompt("test_simple_prompt"),
  prompt_arguments: (c) => c.getPrompt("test_prompt_with_arguments", { arg1: "one", arg2: "two" }),
  prompt_missing_argument: (c) => c.getPrompt("test_prompt_with_arguments", { arg1: "one" }),
  prompt_resource: (c) => c.getPrompt("test_prompt_with_embedded_resource", { resourceUri: "test://example" }),
  prompt_image: (c) => c.getPrompt("test_prompt_with_image"),
  prompt_unknown: (c) => c.getPrompt("no_such_prompt"),
  prompt_input_required: (c) => c.getPrompt("test_input_required_result_prompt"),
  completion: (c) => c.complete("test_prompt_with_arguments", "arg1", "py"),
  completion_long: (c) => c.complete("test_prompt_with_arguments", "arg1", "test-"),
};

const legacyOnly = {
  ping: async (c) => {
    await c.ping();
    return { pong: true };
  },
  list_changed: async (c) => {
    const start = c.heard.length;
    const wanted = ["notifications/tools/list_changed", "notifications/prompts/list_changed"];
    await c.call("test_trigger_tool_change");
    await c.call("test_trigger_prompt_change");
    await c.until(() => wanted.every((method) => c.heardOf(method, start).length));
    return Object.fromEntries(wanted.map((method) => [method, c.heardOf(method, start).length]));
  },
  subscription: async (c) => {
    const method = "notifications/resources/updated";
    await c.subscribe(WATCHED);
    let start = c.heard.length;
    await c.call("test_trigger_resource_update", { uri: WATCHED });
    await c.until(() => c.heardOf(method, start).length);
    const updates = c.heardOf(method, start).map((params) => params.uri);
    await c.unsubscribe(WATCHED);
    start = c.heard.length;
    await c.call("test_trigger_resource_update", { uri: WATCHED });
    await c.call("test_simple_text");
    return { updates, after_unsubscribe: c.heardOf(method, start).length };
  },
};

const byHand = (name, tampering) => async (c) => ({ result: await c.callByHand(name, tampering) });

const modernOnly = {
  rounds_by_hand: byHand("test_input_required_result_request_state", ""),
  tampered_state: byHand("test_input_required_result_tampered_state", "-TAMPERED"),
  listen: (c) =>
    c.listen(WATCHED, async () => {
      await c.call("test_trigger_tool_change");
      await c.call("test_trigger_prompt_change");
      await c.call("test_trigger_resource_update", { uri: WATCHED });
    }, 3),
};

const last = {
  cancellation: async (c) => {
    const counted = async () => Number((await c.call("test_counter", { tag: "cancelled" })).content[0].text);
    const abort = new AbortController();
    const calling = c.call("test_slow", { ms: 60_000, tag: "cancelled" }, { signal: abort.signal }).then(
      () => "result",
      () => "cancelled",
    );
    while ((await counted()) < 2) await sleep(20);
    abort.abort("the battery cancels");
    const ended = await calling;
    // Steps are 20 ms apart: two equal counts 300 ms apart mean that the work has stopped.
    const counts = [await counted()];
    for (let n = 0; n < 10; n++) {
      await sleep(300);
      counts.push(await counted());
      if (counts.at(-1) === counts.at(-2)) break;
    }
    return { ended, stopped: counts.at(-1) === counts.at(-2), steps: counts.at(-1) };
  },
  slow: (c) => c.call("test_slow", { ms: 100, tag: "finished" }),
};

const timeout = (ms) => new Promise((_, reject) => setTimeout(reject, ms, new Error(`no end after ${ms} ms`)).unref());

async function run(conversation, only) {
  const steps = {};
  const wanted = { ...bothEras, ...(conversation.modern ? modernOnly : legacyOnly), ...last };
  for (const [name, step] of Object.entries(wanted)) {
    if (only && !only.includes(name)) continue;
    if (conversation.lacks[name]) {
      steps[name] = { lacks: conversation.lacks[name] };
      continue;
    }
    try {
      steps[name] = await Promise.race([step(conversation), timeout(STEP_MS)]);
    } catch (error) {
      const rpc = conversation.errorOf(error);
      steps[name] = rpc ? { error: rpc } : { exception: `${error.name}: ${error.message}` };
    }
  }
  return { ...conversation.facts(), steps, asked: conversation.asked, faults: conversation.faults };
}

/** Entry of both client scripts: argv[2] is a JSON object {transport, command, env, cwd, url, mode, steps}; see battery.py. */
export async function main(connect) {
  const options = JSON.parse(process.argv[2]);
  const conversation = await connect(options);
  const observed = await run(conversation, options.steps);
  try {
    await conversation.close();
    observed.closing = null;
  } catch (error) {
    observed.closing = String(error.stack ?? error);
  }
  process.stdout.write(JSON.stringify(observed));
}
