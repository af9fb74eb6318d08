// Who is at the page: the first administrator, coming in and going, and how the show lock stands.

import { $, API, tell, text } from "/console/tools.js";

let session = null;   // who the service says is here; null: not known yet
let doing = "in";     // what the dialog is for: setup, in, out

async function ask(method, path, body) {
  const answer = await fetch(API + path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return [answer.ok, await answer.json()];
}

async function look() {
  try {
    const [ok, found] = await ask("GET", "/session");
    if (ok) session = found;
  } catch { /* the service is away; the page says so elsewhere */ }
  if (session === null) return;
  $("who").hidden = false;
  text($("who"), session.user ? `${session.user} · ${session.role}` : session.set_up ? "Log in" : "Set up users");
  $("who").title = session.user ? "Log out" : session.set_up
    ? "You may look; log in to change the show" : "Whoever is on this machine may change the show until there are users";
}

const SHOWN = {
  setup: ["First administrator", "The code is on the terminal where the show was started. From then on everybody says who they are before they change the show. Passwords have at least 10 characters.", "Set up"],
  in: ["Log in", "", "Log in"],
  out: ["", "", "Log out"],
};

function open(why) {
  doing = session?.user ? "out" : session?.set_up === false ? "setup" : "in";
  const [title, told, go] = SHOWN[doing];
  text($("access-title"), doing === "out" ? session.user : title);
  text($("access-why"), why || (doing === "out" ? `Role: ${session.role}. May: ${session.scopes.join(", ")}.` : told));
  text($("access-go"), go);
  $("access-why").hidden = !$("access-why").textContent;
  $("access-wrong").hidden = true;
  for (const [id, on] of [["code", doing === "setup"], ["name", doing !== "out"], ["password", doing !== "out"]]) {
    $(`access-${id}-row`).hidden = !on;
    $(`access-${id}`).required = on;
  }
  $("access-password").autocomplete = doing === "setup" ? "new-password" : "current-password";
  $("access-password").value = "";
  if (!$("access").open) $("access").showModal();
}

// A write was answered 401: there are users, and nobody has said who this is (or the session has ended).
export async function askWho(why) {
  await look();
  open(why);
}

// Whether this page may look at all: from another machine it may only once somebody has logged in.
export async function mayLook() {
  try {
    if ((await fetch(`${API}/show`)).status !== 401) return true;
  } catch {
    return true;  // away, not shut
  }
  await askWho("Say who you are to see the show.");
  return false;
}

$("access-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("access-name").value.trim();
  const password = $("access-password").value;
  const code = $("access-code").value.trim();
  $("access-go").disabled = true;
  try {
    const [ok, answer] = doing === "out" ? await ask("DELETE", "/session")
      : doing === "setup" ? await ask("POST", "/setup", { code, name, password }) : await ask("POST", "/session", { name, password });
    if (ok) {
      location.reload();  // everything is asked for anew, as whoever this is now
      return;
    }
    text($("access-wrong"), answer.mend ? `${answer.detail}. ${answer.mend}` : answer.detail);
    $("access-wrong").hidden = false;
  } catch {
    $("access").close();
    tell("The service does not answer; try again in a moment.");
  } finally {
    $("access-go").disabled = false;
  }
});
$("access-close").addEventListener("click", () => $("access").close());
$("who").addEventListener("click", () => look().then(() => open("")));

const STATE = { armed: ["armed", "ask"], rolling: ["rolling", "bad"], locked: ["locked", "ask"] };

export function renderLock(lock) {
  const [word, tone] = STATE[lock?.state] ?? [];
  $("lock").hidden = !word;
  if (!word) return;
  $("lock").className = `pill ${tone}`;
  text($("lock"), [word, lock.take, lock.holder].filter(Boolean).join(" · "));
  $("lock").title = lock.state === "armed" ? "The next take is named; the configuration waits"
    : "Only Black, Hold, Safe, Work and Show act until the take ends";
}

look();
