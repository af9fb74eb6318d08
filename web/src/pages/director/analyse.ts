// False colour and waveform of a photo, from its display codes.

const BANDS: [number, [number, number, number]][] = [
  // Up to this share of the range: crushed, deep shadow, shadow, 18 % grey, skin, bright, nearly clipped, clipped.
  [0.02, [110, 40, 150]], [0.1, [40, 70, 190]], [0.35, [70, 100, 110]], [0.47, [80, 170, 90]], [0.58, [150, 150, 150]], [0.66, [225, 150, 165]],
  [0.9, [190, 190, 190]], [0.97, [235, 210, 70]], [1.01, [230, 50, 40]],
];
const TABLE = Uint8ClampedArray.from({ length: 256 * 3 }, (_, i) => {
  const share = Math.floor(i / 3) / 255;
  return (BANDS.find(([limit]) => share <= limit) ?? BANDS[BANDS.length - 1]!)[1][i % 3]!;
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

/** How often each brightness stands in each column: one pixel of the scope each. */
export function waveform(image: ImageData, width: number, height: number): ImageData {
  const counts = new Uint16Array(width * height);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      const level = luma(image.data, (y * image.width + x) * 4) / 255;
      const at = Math.min(width - 1, Math.floor((x / image.width) * width)) + Math.min(height - 1, Math.floor((1 - level) * (height - 1))) * width;
      counts[at]! += 1;
    }
  }
  const found = new ImageData(width, height);
  const full = Math.max(4, (image.height * image.width) / width / 12);
  for (let i = 0; i < counts.length; i++) {
    const share = Math.min(1, counts[i]! / full) ** 0.5;
    found.data.set([120 * share, 235 * share, 170 * share, 255 * Math.min(1, share * 2)], i * 4);
  }
  return found;
}
