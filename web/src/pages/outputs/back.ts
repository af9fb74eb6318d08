// From a place on a canvas back to the wall.

/** Which point of a tile's picture, 0 to 1 right and down, lies at `s` to the right and `t` down of its place on the canvas. */
export function back(s: number, t: number, rotate: number, flip: boolean): [number, number] {
  const [x, v] = rotate === 90 ? [t, 1 - s] : rotate === 180 ? [1 - s, 1 - t] : rotate === 270 ? [1 - t, s] : [s, t];
  return [flip ? 1 - x : x, v];
}
