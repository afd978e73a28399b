// The page: holds the states together, from the first press to the last word of the answer.

import { ask, Refusal } from "./api.js";
import { conversations, forget, isGone, isKept, join, leave, turns } from "./conversation.js";
import { listen } from "./gestures.js";
import { askForKey, keys } from "./key.js";
import { Line } from "./line.js";
import { dismiss, tell } from "./notice.js";
import { allowSound, isBlocked, loudness } from "./output.js";
import { isSounding, silence } from "./playback.js";
import { obstacle, record } from "./recorder.js";
import { watch } from "./service.js";
import { isRemembering, wishes } from "./settings.js";
import { Turn } from "./turn.js";
import { clock, page, say, seconds } from "./words.js";

const MIN_RECORDING_S = 0.3;
const MARGIN_S = 2.5; // to the longest recording the server takes: hidden pages look once a second
const LAST_SECONDS = 10; // of a recording are counted down
const SILENT_S = 2.5; // without a sound: the microphone may be muted
const SILENT_LEVEL = 0.02;
const MOST_TIMES = 5; // a question is sent by itself
const NEAR_PX = 200; // who has scrolled further up reads something else
// What went wrong on the way or on the other side: the same recording may do next time.
const WORTH_AGAIN = new Set([
  ...["engine_busy", "engine_failed", "engine_timeout", "engine_unavailable", "pipeline_error"],
  ...["unreachable", "cut_off", "internal_error", "upload_incomplete", "throttled"],
  ...["upload_too_slow", "database_unavailable"],
  ...["conversation_busy"],
  ...["key_needed", "key_refused", "scope_missing"],
]);
// A server that can keep nothing now still answers what stands alone.
const CANNOT_KEEP = new Set(["database_unavailable", "disk_full"]);

const byId = (id) => document.getElementById(id);
const [body, talk, status, hint, stop] = [document.body, byId("talk"), byId("status"), byId("hint"), byId("stop")];
const line = new Line(byId("line"), talk);
const byTouch = matchMedia("(hover: none)").matches;
const hinted = (name) => say(byTouch ? `${name}_touch` : name);

let state = "idle"; // opening, recording, thinking, speaking
let attempt = 0; // to open the microphone; a newer one, or Escape, makes those before it void
let recorder = null;
let tapped = false; // a tap began the recording, another one sends it
let work = null; // AbortController of the turn under way

// --- what is shown ---------------------------------------------------------------------------

function enter(next) {
  state = body.dataset.state = next;
  talk.ariaPressed = String(next === "recording");
  byId("elapsed").textContent = "";
  stop.hidden = !["thinking", "speaking"].includes(next);
  describe();
  if (next === "recording") line.follow(() => recorder?.level() ?? 0, "pulled");
  else line.follow(loudness, next === "thinking" ? "waiting" : isSounding() ? "awake" : "");
}

function describe(words = say(state), advice = HINTS[state]()) {
  if (status.textContent !== words) status.textContent = words;
  if (hint.textContent !== advice) hint.textContent = advice;
}

const HINTS = {
  idle: () => hinted("idle_hint"),
  opening: () => say("opening_hint"),
  recording: () => hinted(tapped ? "recording_tapped" : "recording_held"),
  thinking: () => "",
  speaking: () => "",
};

function fail(refusal, again = null) {
  if (!(refusal instanceof Refusal)) throw refusal;
  tell(refusal, again);
}

// --- talking ---------------------------------------------------------------------------------

async function begin() {
  halt();
  dismiss();
  allowSound();
  tapped = false;
  enter("opening");
  const mine = attempt;
  let opened;
  try {
    opened = await record();
  } catch (refusal) {
    if (mine !== attempt) return;
    enter("idle");
    fail(refusal);
    return;
  }
  if (mine !== attempt) {
    await opened.discard();
    return;
  }
  recorder = opened;
  opened.ended.then(() => recorder === opened && finish()); // the microphone was pulled out
  enter("recording");
  supervise(opened);
}

/** Count down the last seconds, and wonder at silence. */
function supervise(current) {
  let loudest = 0;
  const tick = () => {
    if (recorder !== current) return;
    loudest = Math.max(loudest, current.level());
    const left_s = Math.ceil(page.max_utterance_s - MARGIN_S - current.duration);
    byId("elapsed").textContent =
      left_s <= LAST_SECONDS ? say("recording_ends", { seconds: seconds(left_s, 0) }) : clock(current.duration);
    const unheard = current.duration > SILENT_S && loudest < SILENT_LEVEL;
    describe(say(unheard ? "recording_silent" : "recording"));
    if (left_s <= 0) finish();
    else setTimeout(tick, 100);
  };
  tick();
}

function latch() {
  tapped = true;
  if (state === "recording") describe();
}

async function finish() {
  allowSound(); // to a touch, the gesture is its end
  if (state === "opening") latch(); // released while the browser still asked: another tap sends
  if (!recorder) return;
  const current = recorder;
  recorder = null;
  enter("thinking");
  const recording = await current.finish();
  if (state !== "thinking") return; // Escape
  if (recording.duration < MIN_RECORDING_S) {
    enter("idle");
    fail(new Refusal("too_short"));
    return;
  }
  await send(recording);
}

/** Leave whatever goes on: a recording is thrown away, an answer is neither made nor heard. */
function halt() {
  attempt += 1;
  recorder?.discard();
  recorder = null;
  work?.abort();
  work = null;
  silence();
  enter("idle");
}

// --- a turn ----------------------------------------------------------------------------------

async function send(recording, times = 1, alone = false) {
  const sent = performance.now();
  const mine = (work = new AbortController());
  const turn = new Turn();
  let waited_s = null;
  let complete = false;
  byId("conversation").append(turn.element);
  offer();
  dismiss();
  enter("thinking");
  describe(say("listening"));
  scrollToEnd();
  const settle = () => {
    if (work === mine && complete && !turn.playback.playing) halt();
  };
  follow(turn);
  turn.playback.addEventListener("change", settle);
  try {
    const conversation = isRemembering() && !alone ? await join() : "";
    const wished = { ...(await wishes()), conversation };
    for await (const [name, data] of ask(recording, wished, mine.signal)) {
      if (name === "heard") {
        turn.heard(data);
        byId("aloud").textContent = say("heard_aloud", data);
        describe(say("thinking"));
      } else if (name === "reply") {
        turn.write(data.delta);
      } else if (name === "speech") {
        await turn.speak(data);
        if (waited_s === null) {
          waited_s = (performance.now() - sent) / 1000;
          turn.playback.play();
          enter("speaking");
          if (isBlocked()) describe(say("blocked"), say("blocked_hint"));
        }
      } else if (name === "done") {
        turn.done(data, waited_s);
        if (alone) turn.remark(say("not_remembered"));
        complete = true;
      }
      keepEndInView();
    }
    settle();
  } catch (refusal) {
    const stopped = mine.signal.aborted;
    turn.broken(say(stopped ? "stopped" : "not_closed"));
    offer();
    if (stopped) return;
    halt();
    if (isGone(refusal) && times < MOST_TIMES) {
      leave(); // it was deleted elsewhere, or has become too old: another one begins
      send(recording, times + 1);
      return;
    }
    if (CANNOT_KEEP.has(refusal.code) && !alone) {
      send(recording, times, true);
      return;
    }
    if (await askForKey(refusal)) {
      send(recording, times);
      return;
    }
    if (times === MOST_TIMES) refusal.retryAfter_s = null;
    fail(refusal, WORTH_AGAIN.has(refusal.code) ? () => send(recording, times + 1) : null);
  }
}

/** Let the line swing with its sound. */
function follow(turn) {
  turn.playback.addEventListener("change", () => {
    if (state !== "recording") line.follow(loudness, isSounding() ? "awake" : "");
  });
}

function keepEndInView() {
  const main = byId("main");
  if (main.scrollHeight - main.scrollTop - main.clientHeight < NEAR_PX) scrollToEnd();
}

function scrollToEnd() {
  byId("main").scrollTop = byId("main").scrollHeight;
}

function sendFile(file) {
  halt();
  allowSound();
  if (file.size > page.max_upload_bytes) fail(new Refusal("upload_too_large"));
  else send({ blob: file, name: file.name });
}

// --- the rest of the page --------------------------------------------------------------------

function acceptFiles() {
  const drop = byId("drop");
  let depth = 0; // elements the file is over, within each other
  const hasFile = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (hasFile(event)) drop.classList.toggle("open", ++depth > 0);
  });
  document.addEventListener("dragleave", (event) => {
    if (hasFile(event)) drop.classList.toggle("open", --depth > 0);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    drop.classList.remove("open");
    const [file] = event.dataTransfer.files;
    if (file) sendFile(file);
  });
  byId("file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // the same file can be sent again
    if (file) sendFile(file);
  });
}

// --- the conversation so far -----------------------------------------------------------------

/** What can be done with it, where there is one. */
function offer() {
  const begun = byId("conversation").childElementCount > 0;
  byId("welcome").hidden = begun;
  byId("new").hidden = !begun;
  byId("forget").hidden = !begun || !isKept();
}

/** Show what the server kept of it, at `address`, before what is shown already. */
async function restore(address) {
  const told = await turns(address).catch(() => null); // the page tells why, elsewhere
  if (!told) {
    offer();
    return;
  }
  const kept = told.turns.map(Turn.kept);
  kept.forEach(follow);
  const main = byId("main");
  const below = main.scrollHeight - main.scrollTop;
  byId("conversation").prepend(...kept.map(({ element }) => element));
  main.scrollTop = main.scrollHeight - below; // what is read stays where it is
  byId("earlier").hidden = !told.earlier;
  byId("earlier").onclick = () => restore(told.earlier);
  offer();
  if (!address) keepAtEnd();
}

/** What is shown again grows as its sounds come: its end stays in view until somebody moves. */
function keepAtEnd() {
  const growing = new ResizeObserver(scrollToEnd);
  growing.observe(byId("conversation"));
  for (const moved of ["pointerdown", "wheel", "keydown"]) {
    addEventListener(moved, () => growing.disconnect(), { once: true, passive: true, capture: true });
  }
}

function startAnew() {
  halt();
  dismiss();
  leave();
  byId("conversation").replaceChildren();
  byId("earlier").hidden = true;
  offer();
  talk.focus();
}

function acceptForgetting() {
  const dialog = byId("forgetting");
  byId("forget").addEventListener("click", () => {
    dialog.returnValue = "";
    dialog.showModal();
  });
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "forget") return;
    halt();
    try {
      await forget();
    } catch (refusal) {
      fail(refusal);
      return;
    }
    startAnew();
    byId("aloud").textContent = say("forgotten");
  });
}

listen(talk, { begin, latch, send: finish, isRecording: () => state === "recording" });
acceptFiles();
acceptForgetting();
stop.addEventListener("click", halt);
byId("new").addEventListener("click", startAnew);
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && !document.querySelector("dialog[open]")) halt();
});
// A dropped file is no gesture that lets a page sound: the next one is.
document.addEventListener("pointerdown", () => {
  if (state === "speaking" && isBlocked()) {
    allowSound();
    describe();
  }
});
conversations.addEventListener("change", offer);
keys.addEventListener("change", () => {
  if (!byId("conversation").childElementCount) restore();
});
enter("idle");
watch(byId("promise"));
byId("welcome").hidden = isKept(); // it would flash before what was said
restore();
const hindrance = obstacle();
if (hindrance) fail(hindrance);
