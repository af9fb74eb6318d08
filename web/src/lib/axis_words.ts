// What the axes of a pose are called, wherever one is shown.

import { words } from "./lang.svelte";

export const axisWords = words(
  { x: "x", y: "y", z: "z", pan: "pan", tilt: "tilt", roll: "roll" },
  { x: "X", y: "Y", z: "Z", pan: "水平", tilt: "俯仰", roll: "横滚" },
);
