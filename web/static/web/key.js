// The key that opens the server, where it wants one. It is kept as long as the tab is open.

const KEPT = "voicebot.key";
const ABOUT_KEYS = new Set(["key_needed", "key_refused", "scope_missing"]);

const dialog = document.getElementById("key");
const field = dialog.querySelector("input");
const remark = dialog.querySelector(".remark");

let known = kept();
let asked = null; // a promise, while the dialog is open

/** Says `change` when another key is known. */
export const keys = new EventTarget();

/** What goes along with a request. */
export const authorization = () => (known ? { Authorization: `Bearer ${known}` } : {});

/**
 * Ask for a key, where `refusal` is for want of one or of a better one; whether there is a new one.
 */
export async function askForKey(refusal) {
  if (!ABOUT_KEYS.has(refusal.code)) return false;
  if (refusal.shown !== authorization().Authorization) return true; // it was asked before that
  remark.textContent = refusal.code === "key_needed" ? "" : refusal.detail;
  asked ??= entered();
  return asked;
}

async function entered() {
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  asked = null;
  const text = field.value.trim();
  field.value = "";
  if (dialog.returnValue !== "open" || !text) return false;
  known = text;
  try {
    sessionStorage.setItem(KEPT, text);
  } catch {
    // A browser that keeps nothing: it is known for as long as the page is open.
  }
  keys.dispatchEvent(new Event("change"));
  return true;
}

function kept() {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
