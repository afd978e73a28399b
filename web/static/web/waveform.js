// The waveform of an answer: its shape, what of it was heard already, and a way to go elsewhere.

import { PEAKS_PER_S } from "./playback.js";
import { clock, say } from "./words.js";

const THIN = 0.035; // of silence, which is still a line
const COLUMN_PX = 5;
const ROOM = 1.08; // above and below: the ends of strokes are round
const ROOM_S = 6; // an answer that grows begins with room for that much

/** Draws `playback` into `element`, and lets it be moved through. */
export class Waveform {
  #playback;
  #element;
  #slider;
  #paths;
  #heard;
  #growing = true;
  #drawn = 0;

  constructor(element, playback) {
    this.#element = element;
    this.#playback = playback;
    this.#slider = element.querySelector("input");
    this.#paths = element.querySelectorAll("path");
    this.#heard = element.querySelector(".heard-already");
    this.#slider.addEventListener("input", () => playback.seek(this.#slider.valueAsNumber));
  }

  /** No more of it comes: it may take all the room. */
  complete() {
    this.#growing = false;
    this.#drawn = 0;
    this.update();
  }

  update() {
    const { peaks, duration, position } = this.#playback;
    const shown_s = this.#growing ? Math.max(duration, ROOM_S) : Math.max(duration, 0.1);
    if (this.#drawn !== peaks.length) {
      this.#drawn = peaks.length;
      const columns = Math.max(1, Math.floor(this.#element.clientWidth / COLUMN_PX));
      const strokes = drawn(peaks, shown_s, columns);
      for (const path of this.#paths) {
        path.setAttribute("d", strokes);
        path.ownerSVGElement.setAttribute("viewBox", `0 -${ROOM} ${columns} ${2 * ROOM}`);
      }
      this.#slider.max = shown_s;
    }
    this.#heard.style.clipPath = `inset(0 ${(100 * (1 - position / shown_s)).toFixed(2)}% 0 0)`;
    this.#slider.value = position;
    const values = { position: clock(position), duration: clock(Math.round(duration)) };
    this.#slider.setAttribute("aria-valuetext", say("position", values));
  }
}

/** `peaks` as upright strokes, one a column, as the data of an SVG path. */
function drawn(peaks, shown_s, columns) {
  const loudest = Math.max(0.2, ...peaks);
  const perColumn = (shown_s * PEAKS_PER_S) / columns;
  const heights = Array.from({ length: columns }, (_none, i) => {
    const first = Math.floor(i * perColumn);
    const some = peaks.slice(first, Math.max(first + 1, Math.floor((i + 1) * perColumn)));
    return Math.max(THIN, (Math.max(0, ...some) / loudest) ** 0.8);
  });
  return heights.map((h, i) => `M${i + 0.5} ${(-h).toFixed(3)}V${h.toFixed(3)}`).join("");
}
