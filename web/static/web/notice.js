// What went wrong, in plain words, and what to do about it.

import { known, page, say, seconds } from "./words.js";

const element = document.getElementById("notice");
const [what, advice] = element.querySelectorAll(".what, .advice");
const againButton = element.querySelector(".again");
const dismissButton = element.querySelector(".dismiss");

let timer = null;
let onAgain = null;

againButton.addEventListener("click", () => {
  const again = onAgain;
  dismiss();
  again();
});
dismissButton.addEventListener("click", dismiss);

/**
 * Tell of `refusal`. `again`, where it would help to ask once more, does so; a server that is busy
 * says when, and then it happens by itself.
 */
export function tell(refusal, again = null) {
  dismiss();
  const values = { detail: refusal.detail, size: Math.floor(page.max_upload_bytes / 1e6) };
  const name = nameOf(refusal);
  what.textContent = say(name);
  advice.textContent = say(`${name}_advice`, values).trim();
  onAgain = again;
  againButton.hidden = !again;
  againButton.textContent = say("again");
  element.hidden = false;
  if (again && refusal.retryAfter_s !== null) countDown(refusal.retryAfter_s);
}

export function dismiss() {
  clearInterval(timer);
  element.hidden = true;
  onAgain = null;
}

function nameOf({ code, detail }) {
  if (known(`${code}_advice`)) return code;
  return code.startsWith("engine_") || code === "internal_error" || !detail ? "failed" : "refused";
}

function countDown(wait_s) {
  const until = performance.now() + wait_s * 1000;
  const tick = () => {
    const left = Math.ceil((until - performance.now()) / 1000);
    if (left <= 0) againButton.click();
    else againButton.textContent = say("again_in", { seconds: seconds(left, 0) });
  };
  tick();
  timer = setInterval(tick, 250);
}
