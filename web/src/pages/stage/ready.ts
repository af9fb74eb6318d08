// A canvas' picture made ready for the screen before it is drawn: without a GPU, once a picture costs less than for every
// pixel of every view. The same steps as the shader's, code by code.

export interface Encoding {
  transfer: string;
  peak_nits: number;
  range: string;
}
/** Light that is white on this screen, nits. */
export const WHITE_NITS = 170;

export function table(encoding: Encoding): Uint8Array {
  const found = new Uint8Array(256);
  const gamma = Number(encoding.transfer.replace("gamma", "")) / 10 || 2.4;
  for (let i = 0; i < 256; i++) {
    const code = Math.max(0, encoding.range === "full" ? i / 255 : (i - 16) / 219);
    const p = code ** (1 / 78.84375);
    const nits = encoding.transfer === "pq" ? 10000 * (Math.max(p - 0.8359375, 0) / (18.8515625 - 18.6875 * p)) ** (1 / 0.1593017578125) : encoding.peak_nits * code ** gamma;
    let light = Math.min(nits, encoding.peak_nits) / WHITE_NITS;
    light = (1.2 * light) / (1 + 0.35 * light);
    found[i] = 255 * Math.min(1, light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055) + 0.5;
  }
  return found;
}

/** The pixels of a picture, each channel through the table. */
export function ready(bitmap: ImageBitmap, through: Uint8Array): ImageData {
  const pen = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true })!;
  pen.drawImage(bitmap, 0, 0);
  const image = pen.getImageData(0, 0, bitmap.width, bitmap.height);
  const { data } = image;
  for (let i = 0; i < data.length; i++) if (i % 4 !== 3) data[i] = through[data[i]!]!;
  return image;
}
