// Records whatever the page sends to the loudspeaker. Runs before the page's own scripts.
{
  const connect = AudioNode.prototype.connect;
  let recorder = null;
  const parts = [];

  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const copy = target.context.createMediaStreamDestination();
      connect.call(this, copy);
      recorder = new MediaRecorder(copy.stream);
      recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
      recorder.start();
    }
    return connect.call(this, target, ...rest);
  };

  /** All that was heard until now, as WebM in base64. */
  window.heardAloud = async () => {
    const written = new Promise((resolve) => recorder.addEventListener("dataavailable", resolve));
    recorder.requestData();
    await written;
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
  };
}
