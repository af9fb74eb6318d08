// A frame's slot cut into what its time went on, from the records of the ledger.

import type { View } from "../../lib/api";

export const STEPS = ["wait", "plan", "hand_over", "draw", "hold"] as const;
export type Step = (typeof STEPS)[number];
export const COLOURS: Record<Step, string> = { wait: "#3d5566", plan: "#e5a75a", hand_over: "#c58be0", draw: "#5fb4dc", hold: "#2c3c47" };

export interface Bar {
  frame: number;
  presented: boolean | null;
  reason: string;
  steps: Record<Step, number>;
  lateMs: number;
}

export function bar(record: View<"RecordView">): Bar {
  const ms = record.intervals_ms as Record<string, number>;
  const [wait, plan, handOver, draw] = [ms.receive_to_latch ?? 0, ms.latch_to_plan ?? 0, ms.plan_to_draw ?? 0, ms.draw ?? 0];
  const whole = ms.receive_to_present ?? wait + plan + handOver + draw;
  const rest = whole - wait - plan - handOver - draw;
  return {
    frame: record.frame, presented: record.presented, reason: record.reason,
    steps: { wait, plan, hand_over: handOver, draw, hold: Math.max(0, rest) }, lateMs: Math.max(0, -rest),
  };
}
