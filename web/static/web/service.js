// The server: whether it can answer yet, and whether what is said would leave it.

import { look } from "./api.js";
import { keys } from "./key.js";
import { page, say } from "./words.js";

const AGAIN_MS = 2000;

/** Say in `element` what to expect of the server, until it is ready and whenever a key opens it. */
export function watch(element) {
  keys.addEventListener("change", () => tell(element));
  tell(element);
}

async function tell(element) {
  const report = await look(page.addresses.ready).catch(({ code }) => ({ code }));
  element.textContent = sentence(report);
  element.dataset.state = stateOf(report);
  const settled = report.status === "ready" || report.code === "key_refused";
  if (!settled) setTimeout(() => tell(element), AGAIN_MS);
}

function stateOf({ status, engines }) {
  if (status !== "ready" || !engines) return "waiting";
  return outside(engines).length ? "leaves" : "stays";
}

function sentence(report) {
  if (report.code === "unreachable") return say("unreachable");
  if (!report.engines) return say("key_needed"); // only who has a key is told more
  if (!report.disk.ok) return say("disk_full");
  if (report.status !== "ready") return say("loading");
  const engines = outside(report.engines);
  return engines.length ? say("leaves", { engines: engines.join(", ") }) : say("stays");
}

/** The engines that send anything out. */
function outside(engines) {
  const names = Object.values(engines).filter(({ outbound }) => outbound);
  return [...new Set(names.map(({ engine }) => engine))];
}
