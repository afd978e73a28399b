// Makes each .player a button and a waveform that shows and sets the position; each button.listen
// speak what its form holds before it is kept.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const PLAY = "M2 0 12 6 2 12Z";
const PAUSE = "M1 0h4v12H1zM7 0h4v12H7z";
let playing = null;

const drawn = (path) => `<svg viewBox="0 0 12 12" aria-hidden="true"><path d="${path}"/></svg>`;

function icon(button, path, label) {
  button.innerHTML = drawn(path);
  button.setAttribute("aria-label", label);
  button.title = label;
}

function alone(audio) {
  if (playing && playing !== audio) playing.pause();
  playing = audio;
}

function prepare(player) {
  const audio = player.querySelector("audio");
  const drawing = player.querySelector(".waveform");
  const { play, pause } = player.dataset;
  const button = document.createElement("button");
  button.type = "button";
  icon(button, PLAY, play);
  button.addEventListener("click", () => (audio.paused ? audio.play() : audio.pause()));
  player.prepend(button);
  player.classList.add("ready");

  const { width, height } = drawing.viewBox.baseVal;
  const played = document.createElementNS(SVG, "svg"); // what sticks out of it is not drawn
  played.classList.add("played");
  played.setAttribute("height", height);
  played.setAttribute("width", 0);
  played.append(drawing.querySelector("path").cloneNode());
  drawing.append(played);

  const length = () => (Number.isFinite(audio.duration) ? audio.duration : 0);
  function show() {
    const share = length() ? audio.currentTime / length() : 0;
    played.setAttribute("width", share * width);
    if (!audio.paused) requestAnimationFrame(show);
  }
  audio.addEventListener("play", () => {
    alone(audio);
    icon(button, PAUSE, pause);
    show();
  });
  audio.addEventListener("pause", () => icon(button, PLAY, play));
  audio.addEventListener("ended", () => {
    audio.currentTime = 0;
    icon(button, PLAY, play);
    show();
  });
  audio.addEventListener("seeked", show);
  drawing.addEventListener("click", (event) => {
    const box = drawing.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const seek = () => (audio.currentTime = share * length());
    if (length()) seek();
    else audio.addEventListener("loadedmetadata", seek, { once: true });
    if (audio.paused) audio.play();
  });
}

function rehearse(button) {
  const form = button.closest("form");
  const refusal = form.querySelector(".refusal") || document.createElement("p");
  button.hidden = false;
  button.insertAdjacentHTML("afterbegin", drawn(PLAY));
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    refusal.textContent = "";
    try {
      const response = await fetch(button.dataset.url, { method: "POST", body: new FormData(form) });
      if (!response.ok) throw new Error(await response.text());
      const audio = new Audio(URL.createObjectURL(await response.blob()));
      audio.addEventListener("ended", () => URL.revokeObjectURL(audio.src));
      alone(audio);
      await audio.play();
    } catch (error) {
      refusal.textContent = error.message;
      if (!refusal.isConnected) alert(error.message);
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".player").forEach(prepare);
  document.querySelectorAll("button.listen").forEach(rehearse);
});
