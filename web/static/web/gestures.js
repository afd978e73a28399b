// Ways to talk: hold the button or the space bar; or tap once to begin and once more to send.

const TAP_MS = 350; // a shorter press is a tap

/**
 * Call `begin` and `send` as the button and the keyboard are used; `latch` when a tap has begun
 * what only another one sends. `isRecording` tells whether a press is to send.
 */
export function listen(button, { begin, latch, send, isRecording }) {
  let pressedAt = null; // of a press that may still turn out to be a tap
  let byPointer = false;

  // When it happened, not when there is time to look at it: opening a microphone may take a while.
  const press = ({ timeStamp }) => {
    if (isRecording()) {
      send();
      return;
    }
    pressedAt = timeStamp;
    begin();
  };
  const release = ({ timeStamp }) => {
    if (pressedAt === null) return;
    const held_ms = timeStamp - pressedAt;
    pressedAt = null;
    if (held_ms < TAP_MS) latch();
    else send();
  };

  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    byPointer = true;
    button.setPointerCapture(event.pointerId);
    press(event);
  });
  for (const name of ["pointerup", "pointercancel"]) button.addEventListener(name, release);
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // of a long touch

  // Enter, and assistive technology, click without a pointer: such a press is a tap.
  button.addEventListener("click", (event) => {
    if (!byPointer) {
      press(event);
      release(event);
    }
    byPointer = false;
  });

  document.addEventListener("keydown", (event) => {
    // Not every browser clicks where a press ended beside the button: that one is waited for no more.
    if (event.key === "Enter") byPointer = false;
    if (!isTalkKey(event, button)) return;
    event.preventDefault(); // it would scroll, or click
    if (!event.repeat) press(event);
  });
  document.addEventListener("keyup", (event) => {
    if (!isTalkKey(event, button)) return;
    event.preventDefault();
    release(event);
  });
  window.addEventListener("blur", release);
}

/** The space bar, unless it means something where the focus is. */
function isTalkKey(event, button) {
  if (event.code !== "Space" || event.ctrlKey || event.altKey || event.metaKey) return false;
  if (document.querySelector("dialog[open]")) return false;
  return event.target === button || !event.target.closest("button, input, select, summary, a, label");
}
