// Receives an X-ray's bytes and keeps them in this tab, where the viewer finds them: whatever the page shows anew, a
// film crosses the network once.
const KEPT = 3; // films
const films = (globalThis[Symbol.for("cxr.viewer.films")] ??= new Map());

export default function ({ data }) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (films.has(header.key)) return;
  films.set(header.key, { header, packed: bytes.subarray(4 + length) });
  for (const key of [...films.keys()].slice(0, -KEPT)) films.delete(key);
  globalThis.dispatchEvent(new CustomEvent("cxr-viewer-film", { detail: header.key }));
}
