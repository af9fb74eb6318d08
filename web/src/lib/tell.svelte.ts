// One short message at a time, beside the work, never in its way.

export type Tone = "plain" | "good" | "bad";

class Told {
  text = $state("");
  tone = $state<Tone>("plain");
  #timer: ReturnType<typeof setTimeout> | undefined;

  say(text: string, tone: Tone = "plain"): void {
    this.text = text;
    this.tone = tone;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.hush(), tone === "bad" ? 9000 : 4000);
  }

  hush(): void {
    this.text = "";
  }
}

export const told = new Told();
export const tell = (text: string, tone: Tone = "plain"): void => told.say(text, tone);
