// Samples of an X-ray in full depth: unpacked, halved again and again for small views, and drawn through a table.

const films = (globalThis[Symbol.for("cxr.viewer.films")] ??= new Map());
const SMALLEST_PX = 200;

async function unpackFilm({ header, packed }) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const { width, height } = header, deep = header.bytes === 2, entries = deep ? 65536 : 256, count = width * height;
  const samples = deep ? new Uint16Array(count) : new Uint8Array(count);
  for (let i = 0, sample = 0, low = entries, high = entries + count; i < count; i++) {
    const step = deep ? bytes[low++] | (bytes[high++] << 8) : bytes[low++];
    sample += (step >>> 1) ^ -(step & 1); // the sign stands in the lowest bit
    samples[i] = sample;
    sample = samples[i];
  }
  return { ...header, rendering: bytes.slice(0, entries), levels: halved({ samples, width, height }) };
}

// The image, then the same at half the size, and so on: each pixel is the mean of four.
function halved(first) {
  const levels = [first];
  for (let last = first; Math.min(last.width, last.height) > SMALLEST_PX; last = levels.at(-1)) {
    const width = last.width >> 1, height = last.height >> 1, from = last.samples, wide = last.width;
    const samples = new from.constructor(width * height);
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0, at = 2 * y * wide; x < width; x++, at += 2) {
        samples[i++] = (from[at] + from[at + 1] + from[at + wide] + from[at + wide + 1] + 2) >> 2;
      }
    }
    levels.push({ samples, width, height });
  }
  return levels;
}

// Fill an image with the film through the table; `matrix` leads from the film's pixels to those of the image.
function resample(image, film, matrix, table) {
  const scale = Math.hypot(matrix.a, matrix.b);
  const depth = Math.min(film.levels.length - 1, Math.max(0, Math.floor(-Math.log2(scale) + 0.25)));
  const { samples, width, height } = film.levels[depth];
  const m = matrix.scale(film.width / width, film.height / height).inverse();
  const out = new Uint32Array(image.data.buffer), black = 0xff000000, right = width - 1, bottom = height - 1;
  for (let y = 0, i = 0; y < image.height; y++) {
    let u = m.a * 0.5 + m.c * (y + 0.5) + m.e - 0.5, v = m.b * 0.5 + m.d * (y + 0.5) + m.f - 0.5;
    for (let x = 0; x < image.width; x++, i++, u += m.a, v += m.b) {
      if (u < -0.5 || v < -0.5 || u > right + 0.5 || v > bottom + 0.5) {
        out[i] = black;
        continue;
      }
      const cu = u < 0 ? 0 : u > right ? right : u, cv = v < 0 ? 0 : v > bottom ? bottom : v;
      const left = cu | 0, top = cv | 0, fu = cu - left, fv = cv - top;
      const at = top * width + left, dx = left < right ? 1 : 0, dy = top < bottom ? width : 0;
      const above = samples[at] + fu * (samples[at + dx] - samples[at]);
      const below = samples[at + dy] + fu * (samples[at + dy + dx] - samples[at + dy]);
      out[i] = table[(above + fv * (below - above) + 0.5) | 0];
    }
  }
}
