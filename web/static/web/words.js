// What the page says and is told, in the language it was asked for; the server sends it along.

export const page = JSON.parse(document.getElementById("page-data").textContent);

/** The words of that name, in which `%(key)s` stands for a value. */
export function say(name, values = {}) {
  return page.words[name].replace(/%\((\w+)\)s/g, (_whole, key) => values[key]);
}

export function known(name) {
  return name in page.words;
}

/** `2.3`, with the comma of those who write one. */
export function decimal(value, digits = 1) {
  const exact = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString(page.language, exact);
}

/** `2.3 s`, on one line. */
export const seconds = (value, digits = 1) => `${decimal(value, digits)}\u00a0s`;

/** `0:07` */
export function clock(value) {
  const whole = Math.floor(value);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
