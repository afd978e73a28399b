// The sound of one answer, heard while it comes and as often as wanted afterwards.

import { output } from "./output.js";

const LEAD_S = 0.03; // what a piece is scheduled ahead when nothing precedes it
export const PEAKS_PER_S = 30;

let current = null; // one answer sounds at a time

export const isSounding = () => current !== null;

/** Stop whatever sounds. */
export function silence() {
  current?.pause();
}

/** Says `change` when it begins, grows, pauses or ends. */
export class Playback extends EventTarget {
  #pieces = []; // { wav, start, duration }, in seconds
  #work = Promise.resolve(); // decoding, in order
  #complete = false;
  #run = null; // one stretch of sound without a pause
  #resting = 0; // where it goes on from

  peaks = []; // PEAKS_PER_S of them, from 0 to 1
  duration = 0;

  get playing() {
    return this.#run !== null;
  }

  /** Seconds from its beginning that are heard now. */
  get position() {
    if (!this.#run) return this.#resting;
    const now = output().context.currentTime;
    const piece = this.#run.scheduled.findLast(({ when }) => when <= now);
    return piece ? piece.from + Math.min(now - piece.when, piece.duration) : this.#run.from;
  }

  /** Add a WAV; it is heard right after the one before. */
  append(wav) {
    this.#work = this.#work.then(async () => {
      const buffer = await decoded(wav);
      const piece = { wav, start: this.duration, duration: buffer.duration };
      this.#pieces.push(piece);
      this.duration += buffer.duration;
      this.peaks.push(...peaksOf(buffer));
      if (this.#run?.caughtUp) this.#schedule(buffer, piece, this.#run);
      this.#changed();
    });
    return this.#work;
  }

  /** Nothing more comes. */
  complete() {
    this.#work = this.#work.then(() => {
      this.#complete = true;
      if (this.#run) this.#endOf(this.#run);
    });
  }

  /** Be heard, from `from` seconds on, or from where it was paused. */
  play(from = this.#resting) {
    silence();
    current = this;
    const atItsEnd = this.#complete && from >= this.duration - 0.05;
    const run = {
      from: atItsEnd ? 0 : from,
      scheduled: [], // { when, from, duration }, in seconds
      sources: new Set(), // those that sound or will
      next: 0, // when what comes next sounds
      caughtUp: false, // what there was is scheduled; what comes schedules itself
    };
    this.#run = run;
    this.#work = this.#work.then(() => this.#playKept(run));
    this.#changed();
  }

  pause() {
    if (!this.#run) return;
    this.#resting = this.position;
    this.#stop();
  }

  seek(position) {
    if (this.#run) this.play(position);
    else {
      this.#resting = position;
      this.#changed();
    }
  }

  async #playKept(run) {
    for (const piece of [...this.#pieces]) {
      if (this.#run !== run) return;
      if (piece.start + piece.duration > run.from) {
        this.#schedule(await decoded(piece.wav), piece, run);
      }
    }
    run.caughtUp = true;
    if (this.#run === run) this.#endOf(run);
  }

  #schedule(buffer, piece, run) {
    if (this.#run !== run) return; // paused while it was decoded
    const { context, input } = output();
    const skipped = Math.max(0, run.from - piece.start);
    const when = Math.max(run.next, context.currentTime + LEAD_S);
    const duration = buffer.duration - skipped;
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(input);
    source.start(when, skipped);
    run.next = when + duration;
    run.scheduled.push({ when, from: piece.start + skipped, duration });
    run.sources.add(source);
    source.addEventListener("ended", () => {
      run.sources.delete(source);
      if (this.#run === run) this.#endOf(run);
    });
  }

  /** That of the answer, when all of it was heard. */
  #endOf(run) {
    if (!this.#complete || run.sources.size) return;
    this.#resting = 0;
    this.#stop();
  }

  #stop() {
    const { sources } = this.#run;
    this.#run = null;
    if (current === this) current = null;
    for (const source of sources) source.stop();
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

function decoded(wav) {
  return output().context.decodeAudioData(wav.slice(0)); // which takes what it is given away
}

function peaksOf(buffer) {
  const samples = buffer.getChannelData(0);
  const step = Math.round(buffer.sampleRate / PEAKS_PER_S);
  return Array.from({ length: Math.ceil(samples.length / step) }, (_none, i) =>
    samples.subarray(i * step, (i + 1) * step).reduce((peak, s) => Math.max(peak, Math.abs(s)), 0),
  );
}
