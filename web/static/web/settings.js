// Voice, language and speed: chosen once, kept by the browser.

import { look } from "./api.js";
import { askForKey, keys } from "./key.js";
import { decimal, page, say } from "./words.js";

const KEPT = "voicebot.settings";
const DETECT = "auto";

const dialog = document.getElementById("settings");
const language = document.getElementById("language");
const voice = document.getElementById("voice");
const speed = document.getElementById("speed");
const speedValue = document.getElementById("speed-value");
const remember = document.getElementById("remember");

const languageNames = new Intl.DisplayNames(page.language, { type: "language" });
let voices = [];
let offered = prepare();

/** The fields of the form that say how the answer is to be spoken. */
export async function wishes() {
  await offered; // what was chosen before is known by then
  return {
    language: language.value,
    voice: voice.value,
    speed: speed.value === "1" ? "" : speed.value,
  };
}

/** Whether questions belong to a conversation, which the server keeps. */
export const isRemembering = () => remember.checked;

function prepare() {
  remember.checked = restored().remember ?? true;
  document.getElementById("settings-open").addEventListener("click", () => dialog.showModal());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
  language.addEventListener("change", () => offerVoices());
  dialog.addEventListener("change", keep);
  speed.addEventListener("input", showSpeed);
  keys.addEventListener("change", () => {
    if (!voices.length) offered = offer();
  });
  return offer();
}

/** Fetch what there is to choose, and choose what was chosen before. */
async function offer() {
  voices = await fetchVoices();
  const kept = restored();
  const codes = [...new Set(voices.map((one) => one.language))];
  const named = codes.map((code) => [code, languageNames.of(code)]);
  named.sort(([, one], [, other]) => one.localeCompare(other, page.language));
  fill(language, [...named, [DETECT, say("detect")]], kept.language ?? page.spoken_language);
  speed.value = kept.speed ?? 1;
  offerVoices(kept.voice);
  showSpeed();
}

/** None, when the server cannot or will not tell. */
async function fetchVoices() {
  try {
    return await look(page.addresses.voices);
  } catch (refusal) {
    return (await askForKey(refusal)) ? fetchVoices() : [];
  }
}

function offerVoices(chosen = "") {
  const fitting = voices.filter((one) => one.language === language.value);
  const usual = fitting.find((one) => one.default);
  const others = fitting.filter((one) => one !== usual).map((one) => [one.id, titled(one)]);
  fill(voice, [["", usual ? titled(usual) : say("default_voice")], ...others], chosen);
  voice.disabled = others.length === 0;
}

const titled = ({ name, gender }) => (gender ? `${name} (${say(gender)})` : name);

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  select.value = options.some(([value]) => value === chosen) ? chosen : options[0][0];
}

function showSpeed() {
  speedValue.textContent = say("speed_value", { speed: decimal(speed.valueAsNumber) });
}

function keep() {
  const chosen = {
    language: language.value,
    voice: voice.value,
    speed: speed.value,
    remember: remember.checked,
  };
  try {
    localStorage.setItem(KEPT, JSON.stringify(chosen));
  } catch {
    // A browser that keeps nothing: it is chosen for as long as the page is open.
  }
}

function restored() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}
