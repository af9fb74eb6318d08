// What goes into the log of what happened, beside the changes people make: alarms that come and clear, orders to every
// wall, the show lock, the service lost and found.

import { untrack } from "svelte";
import { live } from "../lib/live.svelte";
import { alarmWords, placeName, type Told } from "./alarm_words";
import { says } from "./words";

/** Watches while the component that calls it is there. */
export function keepLog(): void {
  let stood = new Map<string, string>();
  let action = "";
  let lock = "";
  let lost = false;
  $effect(() => {
    const told = live.one("alarms");
    if (!told) return;
    untrack(() => {
      const now = new Map<string, string>();
      for (const alarm of told.alarms) {
        const key = `${alarm.code} ${alarm.path}`;
        const text = stood.get(key) ?? `${placeName(alarm.path)}: ${alarmWords(alarm as Told).detail}`;
        if (!stood.has(key)) live.happened(text);
        now.set(key, text);
      }
      for (const [key, text] of stood) if (!now.has(key)) live.happened(says.now.cleared(text));
      stood = now;
    });
  });
  $effect(() => {
    const next = live.one("action")?.action;
    if (!next) return;
    if (action && action !== next) untrack(() => live.happened(says.now[next as "black"] ?? next));
    action = next;
  });
  $effect(() => {
    const held = live.one("show")?.lock;
    if (!held) return;
    const t = untrack(() => says.now);
    const text = [{ open: t.lockOpen, armed: t.lockArmed, rolling: t.lockRolling, locked: t.lockLocked }[held.state ?? "open"], held.take, held.holder].filter(Boolean).join(" · ");
    if (lock && lock !== text) untrack(() => live.happened(`${t.lock}: ${text}`));
    lock = text;
  });
  $effect(() => {
    const now = live.connection === "lost";
    if (now !== lost) untrack(() => live.happened(now ? says.now.lost : says.now.found));
    lost = now;
  });
}
