// The conversation under way: the server keeps what was said, the browser keeps where.

import { look, make, remove } from "./api.js";
import { page } from "./words.js";

const KEPT = "voicebot.conversation";

let id = kept(); // null: none has begun
let possible = true; // the server, or this key, may keep none

/** Says `change` when another conversation is under way, or none. */
export const conversations = new EventTarget();

export const isKept = () => id !== null;

/**
 * What a question says to belong to the conversation, which begins with the first one; "" where
 * questions stand alone.
 *
 * @throws {Refusal}
 */
export async function join() {
  if (id || !possible) return id ?? "";
  try {
    settle((await make(page.addresses.conversations)).id);
  } catch (refusal) {
    if (refusal.code !== "scope_missing") throw refusal;
    possible = false; // this key may talk, and leave nothing
  }
  return id ?? "";
}

/**
 * The turns of it that were answered, the oldest first, and where those before are told, or null.
 *
 * @throws {Refusal}
 */
export async function turns(address = id && addressOf(id)) {
  if (!address) return { turns: [], earlier: null };
  try {
    const told = await look(address);
    const said = told.turns.filter((turn) => !turn.code && turn.transcript && turn.reply);
    return { turns: said, earlier: told.earlier && here(told.earlier) };
  } catch (refusal) {
    if (!isGone(refusal)) throw refusal;
    leave();
    return { turns: [], earlier: null };
  }
}

/** Whether `refusal` is because the conversation is not there any more. */
export const isGone = ({ code }) => code === "conversation_not_found";

/** Let the next question begin another one. The server keeps this one. */
export function leave() {
  settle(null);
}

/**
 * Have the server forget it.
 *
 * @throws {Refusal}
 */
export async function forget() {
  if (id) await remove(addressOf(id));
  leave();
}

/** An address the server told, as this page may ask it: a proxy may not tell it how it is called. */
export function here(address) {
  const { pathname, search } = new URL(address);
  return pathname + search;
}

const addressOf = (one) => `${page.addresses.conversations}${one}/`;

function settle(next) {
  id = next;
  try {
    if (id) localStorage.setItem(KEPT, id);
    else localStorage.removeItem(KEPT);
  } catch {
    // A browser that keeps nothing: it is known for as long as the page is open.
  }
  conversations.dispatchEvent(new Event("change"));
}

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
