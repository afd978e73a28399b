// The microphone: from the first word to a recording that can be sent.

import { Refusal } from "./api.js";
import { level, output } from "./output.js";

// As browsers write them: Chrome, Firefox, Safari.
const TYPES = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/ogg;codecs=opus", "ogg"],
  ["audio/mp4", "mp4"],
];

const REFUSALS = {
  NotAllowedError: "mic_refused",
  SecurityError: "mic_refused",
  NotFoundError: "mic_absent",
  OverconstrainedError: "mic_absent",
};

const LAST_WORD_MS = 180; // fingers are quicker than tongues

/** Why nothing can be recorded here, as a Refusal; null where it can. */
export function obstacle() {
  if (!window.isSecureContext) return new Refusal("insecure");
  if (!navigator.mediaDevices || !window.MediaRecorder || !type()) {
    return new Refusal("browser_old");
  }
  return null;
}

function type() {
  return TYPES.find(([name]) => MediaRecorder.isTypeSupported(name));
}

/**
 * Begin to record.
 *
 * @throws {Refusal} when there is no microphone, or none for us
 */
export async function record() {
  const hindrance = obstacle();
  if (hindrance) throw hindrance;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    return new Recorder(stream, ...type());
  } catch (error) {
    throw new Refusal(REFUSALS[error.name] ?? "mic_taken");
  }
}

class Recorder {
  #stream;
  #recorder;
  #parts = [];
  #extension;
  #source;
  #ear;
  #samples;
  #begun = performance.now();

  constructor(stream, mimeType, extension) {
    this.#stream = stream;
    this.#extension = extension;
    this.#recorder = new MediaRecorder(stream, { mimeType });
    this.#recorder.addEventListener("dataavailable", ({ data }) => this.#parts.push(data));
    /** Resolves when nothing more comes, be it that the microphone was pulled out. */
    this.ended = new Promise((resolve) => {
      this.#recorder.addEventListener("stop", resolve, { once: true });
    });
    this.#recorder.start();
    const { context } = output();
    this.#ear = new AnalyserNode(context, { fftSize: 1024 });
    this.#samples = new Float32Array(this.#ear.fftSize);
    this.#source = context.createMediaStreamSource(stream);
    this.#source.connect(this.#ear);
  }

  /** In seconds. */
  get duration() {
    return (performance.now() - this.#begun) / 1000;
  }

  /** How loud it is right now, from 0 to 1. */
  level() {
    this.#ear.getFloatTimeDomainData(this.#samples);
    return level(this.#samples);
  }

  /** The recording, once its last word is in. */
  async finish() {
    const duration = this.duration;
    await new Promise((resolve) => setTimeout(resolve, LAST_WORD_MS));
    await this.discard();
    const blob = new Blob(this.#parts, { type: this.#recorder.mimeType });
    return { blob, name: `question.${this.#extension}`, duration };
  }

  /** Stop, and let go of the microphone. */
  async discard() {
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
    await this.ended;
    this.#source.disconnect();
    for (const track of this.#stream.getTracks()) track.stop();
  }
}
