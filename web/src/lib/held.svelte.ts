// Why a value of the picture cannot be moved now, in words. The service refuses it all the same; here it is said
// before anybody tries.

import { words } from "./lang.svelte";
import { live } from "./live.svelte";
import { session } from "./session.svelte";

const says = words(
  {
    rolls: (take: string, who: string) => `Take ${take} rolls${who}. Nothing here moves until it is cut; cues go on.`,
    locked: (take: string, who: string) => `Locked between takes${take}${who}. Nothing here moves until the lock is opened.`,
    by: (who: string) => `, held by ${who}`,
    role: "Looking only: log in as director or operator to change it.",
    roleRun: "Only operators do this.",
  },
  {
    rolls: (take: string, who: string) => `${take} 开拍中${who}。停之前这里不做任何改动；提示点照常执行。`,
    locked: (take: string, who: string) => `两条之间已锁定${take}${who}。开锁之前这里不做任何改动。`,
    by: (who: string) => `，由 ${who} 持有`,
    role: "仅供查看：要更改请以导演或操作员身份登录。",
    roleRun: "只有操作员可以这样做。",
  },
);

/** Empty: it can be moved. `address` may be one that the lock lets act in this take. */
export function held(address = "", scope: "look" | "run" = "look"): string {
  if (session.now && !session.may(scope)) return scope === "run" ? says.now.roleRun : says.now.role;
  const lock = live.one("show")?.lock;
  if (!lock || (lock.state !== "rolling" && lock.state !== "locked") || (address && (lock.acts ?? []).includes(address))) return "";
  const who = lock.holder ? says.now.by(lock.holder) : "";
  return lock.state === "rolling" ? says.now.rolls(lock.take || "–", who) : says.now.locked(lock.take ? ` (${lock.take})` : "", who);
}

/** Whose hand but ours is on a value now; empty: nobody's. */
export function hand(...addresses: string[]): string {
  const hands = live.one("hands")?.hands;
  if (!hands) return "";
  for (const address of addresses) {
    const who = hands[address]?.hand;
    if (who && who !== session.now?.name) return who;
  }
  return "";
}
