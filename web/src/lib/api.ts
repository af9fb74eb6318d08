// Speaks to the service: paths, bodies and answers have the types of docs/openapi.json.

import type { components, paths } from "../generated/api";
import { live } from "./live.svelte";
import { session } from "./session.svelte";
import { tell } from "./tell.svelte";
import { words } from "./lang.svelte";
import { refusal } from "./problem_words";

export const API = "/api/v1";
export type View<N extends keyof components["schemas"]> = components["schemas"][N];

type Method = "get" | "put" | "post" | "patch" | "delete";
type Operation<P extends keyof paths, M extends Method> = paths[P][M];
type Json<R> = R extends { content: { "application/json": infer J } } ? J : unknown;
type Answer<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { responses: { 200: infer R } } ? Json<R> : unknown;
type Body<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { requestBody?: { content: { "application/json": infer B } } } ? B : never;
type At<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { parameters: { path: infer I } } ? I : Record<string, never>;
/** The paths that can be asked for in this way. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: Operation<P, M> extends { responses: unknown } ? P : never;
}[keyof paths];

export interface Problem {
  status: number;
  title?: string;
  code?: string;
  path?: string;
  line?: number;
  value?: unknown;
  detail: string;
  mend?: string;
  errors?: Problem[];
  problems?: Problem[];
}
export type Result<T> = { ok: true; data: T; rev: string | null } | { ok: false; problem: Problem };
export interface Order<P extends keyof paths, M extends Method> {
  at?: At<P, M>;
  body?: Body<P, M>;
  /** In place of a body: text of a configuration. */
  yaml?: string;
  query?: Record<string, string | number | boolean | undefined>;
  /** The revision it was seen at: it is refused when somebody else changed it since. */
  rev?: string | number;
}

const says = words(
  { away: "The service does not answer; nothing was changed.", who: "Nothing was changed: say who you are, then do it again.", tookBack: (whose: string) => `Taken back: a change of ${whose}.` },
  { away: "服务没有应答；没有任何改动。", who: "没有任何改动：请先登录，然后再试一次。", tookBack: (whose: string) => `已撤销 ${whose} 的改动。` },
);

function address(path: string, at: object | undefined, query: Order<never, never>["query"]): string {
  let found = path;
  for (const [name, value] of Object.entries(at ?? {})) found = found.replace(`{${name}}`, encodeURIComponent(String(value)));
  const asked = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== "");
  return asked.length ? `${found}?${new URLSearchParams(asked.map(([k, v]) => [k, String(v)]))}` : found;
}

/** Ask, and get the answer or the problem. */
export async function ask<M extends Method, P extends PathOf<M>>(
  method: M, path: P, order: Order<P, M> = {},
): Promise<Result<Answer<P, M>>> {
  const headers: Record<string, string> = {};
  if (order.body !== undefined) headers["content-type"] = "application/json";
  if (order.yaml !== undefined) headers["content-type"] = "application/yaml";
  if (order.rev !== undefined) headers["if-match"] = `"${String(order.rev).replaceAll('"', "")}"`;
  try {
    const answer = await fetch(address(path, order.at as object | undefined, order.query), {
      method: method.toUpperCase(),
      headers,
      body: order.yaml ?? (order.body === undefined ? undefined : JSON.stringify(order.body)),
    });
    const json = answer.headers.get("content-type")?.includes("json");
    const data: unknown = json ? await answer.json() : await answer.text();
    if (answer.ok) return { ok: true, data: data as Answer<P, M>, rev: answer.headers.get("etag") };
    const problem = (json ? data : { detail: String(data) || answer.statusText }) as Problem;
    return { ok: false, problem: { ...problem, status: answer.status } };
  } catch {
    return { ok: false, problem: { status: 0, detail: says.now.away } };
  }
}

export const sentence = (problem: Problem): string => refusal(problem);

/** Do something: the answer, or null after the operator was told why not (and asked who they are, if that is why). */
export async function act<M extends Method, P extends PathOf<M>>(
  method: M, path: P, order: Order<P, M> = {},
): Promise<Answer<P, M> | null> {
  const result = await ask(method, path, order);
  if (result.ok) {
    // Undo takes back the newest change, whoever made it: another's is said.
    const whose = (result.data as { undoes?: { who?: string } | null } | null)?.undoes?.who;
    if (whose && whose !== session.now?.name && String(path).endsWith("/undo")) tell(says.now.tookBack(whose));
    return result.data;
  }
  // No dialog comes up by itself while a take rolls.
  if (result.problem.status === 401 && live.one("show")?.lock?.state !== "rolling") void session.open(says.now.who);
  else if (result.problem.status === 401) tell(says.now.who, "bad");
  else tell(sentence(result.problem), "bad");
  return null;
}

/** For a thing under the hand: the newest value goes when the last one was answered, never a queue. */
export function latest<T>(send: (value: T) => Promise<unknown>): (value: T) => Promise<void> {
  let waiting: { value: T } | null = null;
  let busy = false;
  return async (value) => {
    waiting = { value };
    if (busy) return;
    busy = true;
    while (waiting) {
      const now: T = (waiting as { value: T }).value;
      waiting = null;
      await send(now);
    }
    busy = false;
  };
}
