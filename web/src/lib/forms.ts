// Sentences of the service that keep their form: each form stands beside its Chinese, with the parts that change. A
// sentence of another form (a newer service) is shown as it was told. `tests/console` keeps the forms whole.

import { language } from "./lang.svelte";

export type Form = [form: RegExp, chinese: string | ((...parts: (string | undefined)[]) => string)];

export function inChinese(forms: Form[], sentence: string): string {
  for (const [form, chinese] of forms) {
    const found = form.exec(sentence);
    if (found) return typeof chinese === "string" ? chinese : chinese(...found.slice(1));
  }
  return sentence;
}

/** A sentence in the console's language. */
export const inWords = (forms: Form[], sentence: string): string => (language.code === "zh" ? inChinese(forms, sentence) : sentence);
