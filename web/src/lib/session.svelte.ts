// Who is at the console, and the dialog that asks.

import type { components } from "../generated/api";

type SessionView = components["schemas"]["SessionView"];
const PATH = "/api/v1";

export type Doing = "setup" | "in" | "out";

class Session {
  /** Who the service says is here; null: not known yet. */
  now = $state<SessionView | null>(null);
  /** Whether the dialog is open, and what for. */
  doing = $state<Doing | null>(null);
  why = $state("");

  may(scope: string): boolean {
    return this.now?.scopes.includes(scope) ?? false;
  }

  async look(): Promise<void> {
    try {
      const answer = await fetch(`${PATH}/session`);
      if (answer.ok) this.now = (await answer.json()) as SessionView;
    } catch {
      // The service is away; the strip says so.
    }
  }

  async open(why = ""): Promise<void> {
    await this.look();
    this.why = why;
    this.doing = this.now?.user ? "out" : this.now && !this.now.set_up ? "setup" : "in";
  }

  close(): void {
    this.doing = null;
  }

  /** Whether this page may look at all: from another machine it may only once somebody has logged in. */
  async mayLook(): Promise<boolean> {
    try {
      return (await fetch(`${PATH}/show`)).status !== 401;
    } catch {
      return true; // away, not shut
    }
  }
}

export const session = new Session();
