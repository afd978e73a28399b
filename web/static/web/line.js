// The line the talk button is threaded on. Whoever speaks makes it swing: what was just heard
// runs outwards from the button, so the line shows the last second of sound, and how loud it was.

const SPEED_PX_S = 520; // of a wave
const RATE_HZ = 120; // at which the swing is remembered
const PITCH_HZ = 5.2; // of the swing: slow enough to be seen
const HEIGHT_PX = 44; // of the loudest swing
const PULL_PX = 9; // by which a held button draws the line down
const SLOW_HZ = 0.55; // of the swing while nothing is heard yet

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Line {
  #canvas;
  #bead;
  #source = () => 0; // loudness, from 0 to 1
  #mood = ""; // see `follow`
  #swing = new Float32Array(1024); // px, the newest first after #head
  #head = 0;
  #pull = { at: 0, speed: 0 };
  #phase = 0;
  #level = 0;
  #time = 0;
  #moving = false;

  constructor(canvas, bead) {
    this.#canvas = canvas;
    this.#bead = bead;
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /**
   * Follow how loud `source()` is. In the mood `waiting` the line swings slowly by itself, in
   * `pulled` the button draws it down, in `awake` it watches for sounds to come, in none it comes
   * to rest, and costs nothing.
   */
  follow(source, mood) {
    this.#source = source;
    this.#mood = mood;
    if (this.#moving) return;
    this.#moving = true;
    this.#time = performance.now();
    requestAnimationFrame((now) => this.#frame(now));
  }

  #frame(now) {
    const elapsed_s = Math.min(0.1, Math.max(0, (now - this.#time) / 1000));
    this.#time = now;
    this.#move(elapsed_s);
    this.#draw();
    if (this.#isAtRest()) this.#moving = false;
    else requestAnimationFrame((next) => this.#frame(next));
  }

  #move(elapsed_s) {
    const target = this.#source();
    for (let left = elapsed_s; left > 0; left -= 1 / RATE_HZ) {
      // Rises at once, falls softly.
      this.#level += (target - this.#level) * (target > this.#level ? 0.16 : 0.045);
      this.#phase += 1 / RATE_HZ;
      const turn = 2 * Math.PI * this.#phase;
      const voice = Math.sin(turn * PITCH_HZ) + 0.35 * Math.sin(turn * PITCH_HZ * 1.71);
      const breath = this.#mood === "waiting" ? 0.13 * Math.sin(turn * SLOW_HZ) : 0;
      this.#head = (this.#head + this.#swing.length - 1) % this.#swing.length;
      this.#swing[this.#head] = HEIGHT_PX * (0.74 * this.#level ** 1.4 * voice + breath);
      const force = 210 * ((this.#mood === "pulled" ? PULL_PX : 0) - this.#pull.at) - 11 * this.#pull.speed;
      this.#pull.speed += force / RATE_HZ;
      this.#pull.at += this.#pull.speed / RATE_HZ;
    }
  }

  #isAtRest() {
    const still = !this.#mood && Math.abs(this.#pull.speed) < 0.2;
    return still && this.#level < 0.004 && this.#swing.every((px) => Math.abs(px) < 0.2);
  }

  #draw() {
    const ratio = window.devicePixelRatio;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (this.#canvas.width !== Math.round(width * ratio)) this.#canvas.width = width * ratio;
    if (this.#canvas.height !== Math.round(height * ratio)) this.#canvas.height = height * ratio;
    const pen = this.#canvas.getContext("2d");
    const style = getComputedStyle(this.#canvas);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.translate(0, height / 2);
    pen.lineCap = "round";
    const shades = pen.createLinearGradient(0, 0, width, 0);
    const [rest, voice] = [style.getPropertyValue("--line"), style.color];
    [rest, voice, voice, rest].forEach((shade, i) => shades.addColorStop([0.04, 0.4, 0.6, 0.96][i], shade));
    pen.strokeStyle = shades;
    if (calm.matches) this.#drawCalm(pen, width, voice, rest);
    else this.#drawSwing(pen, width);
  }

  #drawSwing(pen, width) {
    const middle = width / 2;
    const taut = (away) => Math.max(0, 1 - (away / middle) ** 2);
    pen.lineWidth = 1.6;
    pen.beginPath();
    for (let x = 0; x <= width; x += 3) {
      const away = Math.abs(x - middle);
      const ago = Math.floor((away / SPEED_PX_S) * RATE_HZ);
      const swing = ago < this.#swing.length ? this.#at(ago, away) : 0;
      pen.lineTo(x, swing * taut(away) + this.#pull.at * (1 - away / middle));
    }
    pen.stroke();
    const bob = this.#pull.at + this.#at(0, 0) * 0.12;
    this.#bead.style.transform = Math.abs(bob) > 0.05 ? `translateY(${bob.toFixed(2)}px)` : "";
  }

  /** The swing at `away` px from the button, between two that are remembered. */
  #at(ago, away) {
    const part = (away / SPEED_PX_S) * RATE_HZ - ago;
    const [newer, older] = [ago, ago + 1].map((n) => this.#swing[(this.#head + n) % this.#swing.length]);
    return newer + (older - newer) * part;
  }

  /** For those whom moving pictures make unwell: a bar that grows out of the button, no more. */
  #drawCalm(pen, width, voice, rest) {
    const bar = (reach, thickness, colour) => {
      pen.strokeStyle = colour;
      pen.lineWidth = thickness;
      pen.beginPath();
      pen.moveTo(width / 2 - reach, 0);
      pen.lineTo(width / 2 + reach, 0);
      pen.stroke();
    };
    bar(width / 2, 1.6, rest);
    if (this.#level > 0.01) bar(44 + this.#level * (width / 2 - 60), 5, voice);
  }
}
