// BLACK, HOLD, SAFE PICTURE, WORK LIGHT and back: one key each, everywhere.

import { act } from "../lib/api";

export const ACTIONS = ["none", "hold", "safe", "work", "black"] as const;
export type Action = (typeof ACTIONS)[number];
export const ACTION_KEYS: Record<Action, string> = { none: "escape", hold: "h", safe: "s", work: "w", black: "b" };

export const order = (action: Action): void => void act("post", "/api/v1/actions/{action}", { at: { action } });
