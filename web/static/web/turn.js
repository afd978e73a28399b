// One turn as it is shown: what was heard, the answer, its sound, and where the time went.

import { look, sound } from "./api.js";
import { here } from "./conversation.js";
import { allowSound } from "./output.js";
import { Playback } from "./playback.js";
import { clock, say, seconds } from "./words.js";
import { Waveform } from "./waveform.js";

const template = document.getElementById("turn");
const STAGES = ["decode", "wait", "stt", "llm", "tts"];
const NOTICED_S = 0.05;
const COPIED_MS = 1600;

export class Turn {
  playback = new Playback();
  reply = "";
  #element;
  #waveform;
  #frame = 0;

  constructor() {
    this.#element = template.content.firstElementChild.cloneNode(true);
    this.#waveform = new Waveform(this.#find(".waveform"), this.playback);
    this.#element.dataset.state = "waiting";
    this.#find(".play").addEventListener("click", () => this.#playOrPause());
    this.#find(".copy").addEventListener("click", () => this.#copy());
    this.#find(".copy").hidden = !navigator.clipboard; // insecure pages have none
    const account = this.#find(".account"); // what is opened is seen
    account.addEventListener("toggle", () => account.scrollIntoView({ block: "nearest" }));
    this.playback.addEventListener("change", () => this.#follow());
    this.#update();
  }

  get element() {
    return this.#element;
  }

  /** One the server kept; where its time went, and its sound, are fetched once it is looked at. */
  static kept({ url, transcript: text, language, reply }) {
    const turn = new Turn();
    turn.heard({ text, language });
    turn.reply = turn.#find(".text").textContent = reply;
    turn.#element.dataset.state = "done";
    const seen = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      seen.disconnect();
      turn.#recall(here(url)).catch(() => {}); // its text is there
    });
    seen.observe(turn.#element);
    return turn;
  }

  async #recall(address) {
    const told = await look(address);
    this.#account(told, told.times.first_audio);
    if (!told.speech.url) return; // it is kept no longer
    const wav = await sound(here(told.speech.url));
    this.#find(".speech").hidden = false;
    await this.playback.append(wav);
    this.#close("done");
  }

  #find(selector) {
    return this.#element.querySelector(selector);
  }

  heard({ text, language }) {
    this.#find(".heard").textContent = text;
    this.#find(".heard").lang = this.#find(".text").lang = language;
    this.#element.dataset.state = "answering";
  }

  /** More of the reply: `delta`. */
  write(delta) {
    this.reply += delta;
    const words = document.createElement("span");
    words.className = "new";
    words.textContent = delta;
    this.#find(".text").append(words);
  }

  /** A piece of its speech. */
  speak({ audio }) {
    this.#find(".speech").hidden = false;
    const bytes = Uint8Array.from(atob(audio), (char) => char.charCodeAt(0));
    return this.playback.append(bytes.buffer);
  }

  /** All of it is here; `waited_s` is how long the first sound took, from the user's side. */
  done(turn, waited_s) {
    this.reply = turn.reply;
    this.#find(".text").textContent = turn.reply; // one text again, easier to select
    this.#close("done");
    this.#account(turn, waited_s);
  }

  /** It ends before its time; `remark` says why. */
  broken(remark) {
    if (!this.reply) {
      this.#element.remove();
      return;
    }
    this.#close("broken");
    this.remark(remark);
  }

  remark(text) {
    this.#find(".remark").textContent = text;
    this.#find(".remark").hidden = false;
  }

  #close(state) {
    this.#element.dataset.state = state;
    this.playback.complete();
    this.#waveform.complete();
  }

  #playOrPause() {
    allowSound();
    if (this.playback.playing) this.playback.pause();
    else this.playback.play();
  }

  async #copy() {
    await navigator.clipboard.writeText(this.reply.trim());
    const button = this.#find(".copy");
    button.dataset.state = "copied";
    button.setAttribute("aria-label", say("copied"));
    setTimeout(() => {
      delete button.dataset.state;
      this.#update();
    }, COPIED_MS);
  }

  #follow() {
    cancelAnimationFrame(this.#frame);
    this.#update();
    if (this.playback.playing) this.#frame = requestAnimationFrame(() => this.#follow());
  }

  #update() {
    const { playing, position, duration } = this.playback;
    this.#element.toggleAttribute("data-playing", playing);
    const label = say(playing ? "pause" : "play");
    if (this.#find(".play").ariaLabel !== label) this.#find(".play").ariaLabel = label;
    if (!this.#find(".copy").dataset.state) this.#find(".copy").ariaLabel = say("copy");
    this.#find(".clock").textContent = `${clock(position)} / ${clock(Math.round(duration))}`;
    this.#waveform.update();
  }

  #account({ times, outbound, engines, cache }, waited_s) {
    const left = STAGES.filter((stage) => outbound[stage]);
    const facts = left.map((stage) => say(`left_${stage}`, { engine: engines[stage].engine }));
    if (!facts.length) facts.push(say("kept_here"));
    const summary = this.#find("summary");
    if (waited_s !== null) facts.unshift(say("first_audio", { seconds: seconds(waited_s) }));
    summary.textContent = facts.join(" · ");
    const shown = STAGES.filter((stage) => stage !== "wait" || times.wait >= NOTICED_S);
    const longest_s = Math.max(...shown.map((stage) => times[stage]), 0.001);
    this.#find(".account dl").replaceChildren(
      ...shown.map((stage) => {
        const remarks = [];
        if (engines[stage]) remarks.push(engines[stage].engine);
        if (cache[stage] === "hit") remarks.push(say("stage_remembered"));
        if (outbound[stage]) remarks.push(say("stage_left"));
        return bar(say(`stage_${stage}`), remarks.join(" · "), times[stage], longest_s);
      }),
    );
    this.#find(".account").hidden = false;
  }
}

function bar(name, remark, spent_s, longest_s) {
  const [row, term, time, small] = ["div", "dt", "dd", "small"].map((tag) =>
    document.createElement(tag),
  );
  const filled = document.createElement("span");
  filled.className = "filled";
  filled.style.inlineSize = `${((100 * spent_s) / longest_s).toFixed(1)}%`;
  small.textContent = remark;
  term.append(name, " ", small);
  const track = document.createElement("span");
  track.className = "track";
  track.append(filled);
  time.append(track, seconds(spent_s, 2));
  row.append(term, time);
  return row;
}
