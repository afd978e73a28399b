// The server: whether it can answer yet, and whether what is said would leave it.

import { look } from "./api.js";
import { page, say } from "./words.js";

const AGAIN_MS = 2000;

/** Say in `element` what to expect of the server, until it is ready. */
export async function watch(element) {
  const report = await look(page.addresses.ready);
  element.textContent = sentence(report);
  element.dataset.state = stateOf(report);
  if (report?.status !== "ready") setTimeout(() => watch(element), AGAIN_MS);
}

function stateOf(report) {
  if (report?.status !== "ready") return "waiting";
  return outside(report.engines).length ? "leaves" : "stays";
}

function sentence(report) {
  if (!report?.engines) return say("unreachable");
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
