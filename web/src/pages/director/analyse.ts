// False colour and scopes of a photo, from its display codes.

/** Up to which share of the range, in which colour, and what a person calls it. */
export const BANDS: { limit: number; colour: [number, number, number]; name: "black" | "deep" | "shadow" | "grey" | "mid" | "skin" | "bright" | "near" | "clipped" }[] = [
  { limit: 0.02, colour: [110, 40, 150], name: "black" },
  { limit: 0.1, colour: [40, 70, 190], name: "deep" },
  { limit: 0.35, colour: [70, 100, 110], name: "shadow" },
  { limit: 0.47, colour: [80, 170, 90], name: "grey" },
  { limit: 0.58, colour: [130, 130, 130], name: "mid" },
  { limit: 0.66, colour: [225, 150, 165], name: "skin" },
  { limit: 0.9, colour: [190, 190, 190], name: "bright" },
  { limit: 0.97, colour: [235, 210, 70], name: "near" },
  { limit: 1.01, colour: [230, 50, 40], name: "clipped" },
];
const TABLE = Uint8ClampedArray.from({ length: 256 * 3 }, (_, i) => {
  const share = Math.floor(i / 3) / 255;
  return (BANDS.find(({ limit }) => share <= limit) ?? BANDS[BANDS.length - 1]!).colour[i % 3]!;
});

const luma = (data: Uint8ClampedArray, i: number): number => Math.round(0.2126 * data[i]! + 0.7152 * data[i + 1]! + 0.0722 * data[i + 2]!);

export function falseColour(image: ImageData): ImageData {
  const { data } = image;
  for (let i = 0; i < data.length; i += 4) {
    const at = luma(data, i) * 3;
    data[i] = TABLE[at]!;
    data[i + 1] = TABLE[at + 1]!;
    data[i + 2] = TABLE[at + 2]!;
  }
  return image;
}

export type Scope = "none" | "waveform" | "parade" | "vectorscope" | "histogram";
export const SCOPES: Scope[] = ["none", "waveform", "parade", "vectorscope", "histogram"];
const TINTS: [number, number, number][] = [[255, 96, 84], [96, 225, 120], [110, 150, 255]];
const WHITE: [number, number, number] = [150, 235, 190];
/** Of Rec.709's colour differences. */
const CB = 1.8556;
const CR = 1.5748;

/** The scope of a picture, one count a pixel of it. */
export function scopeOf(kind: Scope, image: ImageData, width: number, height: number): ImageData {
  if (kind === "vectorscope") return vectors(image, width, height);
  if (kind === "histogram") return histogram(image, width, height);
  const out = new ImageData(width, height);
  if (kind === "waveform") return traces(image, out, 0, width, luma, WHITE);
  const third = Math.floor(width / 3);
  for (let channel = 0; channel < 3; channel++) traces(image, out, channel * third, third - 4, (data, i) => data[i + channel]!, TINTS[channel]!);
  return out;
}

/** How often each level stands in each column. */
function traces(image: ImageData, out: ImageData, left: number, width: number, level: (data: Uint8ClampedArray, i: number) => number, tint: [number, number, number]): ImageData {
  const { height } = out;
  const counts = new Uint16Array(width * height);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      const at = Math.min(width - 1, Math.floor((x / image.width) * width));
      const row = Math.round((1 - level(image.data, (y * image.width + x) * 4) / 255) * (height - 1));
      counts[row * width + at]! += 1;
    }
  }
  const full = Math.max(3, (image.height * image.width) / width / 14);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) light(out, left + x, y, counts[y * width + x]! / full, tint);
  return out;
}

function light(out: ImageData, x: number, y: number, share: number, tint: [number, number, number]): void {
  if (share <= 0) return;
  const strength = Math.min(1, share) ** 0.5;
  out.data.set([tint[0], tint[1], tint[2], Math.round(255 * Math.min(1, 0.15 + 0.85 * strength))], (y * out.width + x) * 4);
}

/** Where a colour lies on the vectorscope, -1 to 1: blue difference to the right, red difference up. */
export function vector(r: number, g: number, b: number): [number, number] {
  const y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return [(2 * (b - y)) / CB, (2 * (r - y)) / CR];
}

function vectors(image: ImageData, width: number, height: number): ImageData {
  const out = new ImageData(width, height);
  const radius = Math.min(width, height) / 2 - 1;
  const counts = new Uint16Array(width * height);
  for (let i = 0; i < image.data.length; i += 4) {
    const [u, v] = vector(image.data[i]! / 255, image.data[i + 1]! / 255, image.data[i + 2]! / 255);
    const x = Math.round(width / 2 + u * radius);
    const y = Math.round(height / 2 - v * radius);
    if (x >= 0 && x < width && y >= 0 && y < height) counts[y * width + x]! += 1;
  }
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) light(out, x, y, counts[y * width + x]! / 24, WHITE);
  return out;
}

function histogram(image: ImageData, width: number, height: number): ImageData {
  const out = new ImageData(width, height);
  const bins = [new Uint32Array(width), new Uint32Array(width), new Uint32Array(width)];
  const at = (value: number): number => Math.min(width - 1, Math.floor((value / 256) * width));
  for (let i = 0; i < image.data.length; i += 4) for (let channel = 0; channel < 3; channel++) bins[channel]![at(image.data[i + channel]!)]! += 1;
  // The two ends may hold a whole black or clipped surround: the shape between them decides the height.
  const inner = Math.max(1, ...bins.map((bin) => Math.max(...bin.subarray(2, width - 2))));
  for (let x = 0; x < width; x++) {
    const tall = bins.map((bin) => Math.min(1, bin[x]! / inner) ** 0.6 * (height - 1));
    for (let y = 0; y < height; y++) {
      const rgb = tall.map((one) => (height - 1 - y < one ? 225 : 30));
      if (rgb.some((one) => one > 30)) out.data.set([rgb[0]!, rgb[1]!, rgb[2]!, 215], (y * width + x) * 4);
    }
  }
  return out;
}

/** The share of pixels with a channel at the top or all at the bottom of the range. */
export function clipped(image: ImageData): { high: number; low: number } {
  let high = 0;
  let low = 0;
  for (let i = 0; i < image.data.length; i += 4) {
    const [r, g, b] = [image.data[i]!, image.data[i + 1]!, image.data[i + 2]!];
    if (r >= 254 || g >= 254 || b >= 254) high += 1;
    else if (r <= 1 && g <= 1 && b <= 1) low += 1;
  }
  const all = image.data.length / 4 || 1;
  return { high: high / all, low: low / all };
}
