// Server-sent events of a response. EventSource itself cannot send a recording.

/** Each event of `body`, as `[name, data]`, its data read as JSON. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      pending += value;
      if (!value.includes("\n")) continue; // a long line: its end is still to come
      const complete = pending.split("\n\n");
      pending = complete.pop();
      yield* complete.map(parsed);
    }
  } finally {
    reader.cancel().catch(() => {}); // who reads no further stops the work
  }
}

function parsed(event) {
  const fields = event.split("\n").map((line) => line.split(/: (.*)/s));
  const { event: name, data } = Object.fromEntries(fields);
  return [name, JSON.parse(data)];
}
