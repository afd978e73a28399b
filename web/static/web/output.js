// The loudspeaker: one audio context, and how loud it is right now.

let context = null;
let analyser = null;
let samples = null;

/** The context, made on first use: browsers want a gesture before they let a page sound. */
export function output() {
  if (!context) {
    context = new AudioContext();
    analyser = new AnalyserNode(context, { fftSize: 1024 });
    analyser.connect(context.destination);
    samples = new Float32Array(analyser.fftSize);
  }
  return { context, input: analyser };
}

/** To be called within a gesture. */
export function allowSound() {
  if (output().context.state !== "running") context.resume().catch(() => {});
}

/** Suspended; or, as Safari says, interrupted. */
export const isBlocked = () => output().context.state !== "running";

/** How loud it is, from 0 to 1. */
export function loudness() {
  if (!analyser) return 0;
  analyser.getFloatTimeDomainData(samples);
  return level(samples);
}

const FLOOR_DB = -56; // a quiet room
const CEILING_DB = -12; // somebody who speaks up

/** How loud `values` are to the ear, from 0 to 1. */
export function level(values) {
  const power = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  const decibels = 10 * Math.log10(power + 1e-12);
  return Math.min(1, Math.max(0, (decibels - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}
