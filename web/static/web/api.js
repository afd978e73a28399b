// The server, asked; and what it refuses, as one kind of error.

import { events } from "./events.js";
import { authorization } from "./key.js";
import { page } from "./words.js";

/**
 * What went wrong, by its code; `detail` is the server's own sentence, in the page's language;
 * `shown` is the key that was refused, if there was one, as `authorization` tells it.
 */
export class Refusal extends Error {
  constructor(code, { detail = "", retryAfter_s = null, shown } = {}) {
    super(detail || code);
    this.code = code;
    this.detail = detail;
    this.retryAfter_s = retryAfter_s;
    this.shown = shown;
  }
}

const shownFor = new WeakMap(); // the key that went along, by response

/**
 * A turn, event by event, as `[name, data]`; the last one is `done`.
 *
 * Aborting `signal`, or reading no further, stops the work on the server.
 */
export async function* ask(recording, wishes, signal) {
  const form = new FormData();
  form.append("audio", recording.blob, recording.name);
  form.append("job", "false"); // what is too long is refused: somebody waits for an answer
  for (const [name, value] of Object.entries(wishes)) if (value) form.append(name, value);
  const response = await fetched(page.addresses.voice, {
    method: "POST",
    body: form,
    headers: { Accept: "text/event-stream" },
    signal,
  });
  if (!response.ok) throw await refusal(response);
  try {
    for await (const [name, data] of events(response.body)) {
      if (name === "error") throw failure(data);
      yield [name, data];
      if (name === "done") return;
    }
  } catch (error) {
    if (error instanceof Refusal || signal.aborted) throw error;
  }
  throw new Refusal("cut_off");
}

/**
 * What `address` tells as JSON.
 *
 * @throws {Refusal}
 */
export async function look(address) {
  const response = await fetched(address, { cache: "no-store" });
  const told = await response.clone().json().catch(() => ({ code: "unreachable" }));
  if (told.code) throw await refusal(response);
  return told;
}

/**
 * Make something at `address`: what it is, as JSON.
 *
 * @throws {Refusal}
 */
export async function make(address) {
  const response = await fetched(address, { method: "POST" });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/**
 * Delete what is at `address`; what is gone already is deleted.
 *
 * @throws {Refusal}
 */
export async function remove(address) {
  const response = await fetched(address, { method: "DELETE" });
  if (!response.ok && response.status !== 404) throw await refusal(response);
}

/**
 * The sound at `address`, as an ArrayBuffer.
 *
 * @throws {Refusal}
 */
export async function sound(address) {
  const response = await fetched(address);
  if (!response.ok) throw await refusal(response);
  return response.arrayBuffer();
}

async function fetched(address, { headers = {}, signal, ...options } = {}) {
  const shown = authorization();
  try {
    const response = await fetch(address, { ...options, headers: { ...headers, ...shown }, signal });
    shownFor.set(response, shown.Authorization);
    return response;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal("unreachable");
  }
}

function failure({ code, detail, retry_after_s: retryAfter_s = null }) {
  return new Refusal(code, { detail, retryAfter_s });
}

async function refusal(response) {
  const wait = response.headers.get("Retry-After");
  const retryAfter_s = wait === null ? null : Number(wait);
  try {
    const { code, detail } = await response.json();
    return new Refusal(code, { detail, retryAfter_s, shown: shownFor.get(response) });
  } catch {
    return new Refusal("unreachable", { retryAfter_s }); // a proxy's page, not ours
  }
}
