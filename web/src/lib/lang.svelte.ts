// The two languages of the console. Every part brings its own words, both languages side by side; the type of the
// Chinese ones is that of the English ones, so neither can lack a word.

export type Code = "en" | "zh";
type Word = string | ((...values: never[]) => string);
type Same<T> = { [K in keyof T]: T[K] extends string ? string : T[K] };

const KEPT = "openvolume.language";

function first(): Code {
  const kept = localStorage.getItem(KEPT);
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

class Language {
  code = $state<Code>(first());

  set(code: Code): void {
    this.code = code;
    localStorage.setItem(KEPT, code);
    document.documentElement.lang = code === "zh" ? "zh-CN" : "en";
  }
}

export const language = new Language();
document.documentElement.lang = language.code === "zh" ? "zh-CN" : "en";

/** The words of one part. `words(...).now` is read where they are shown, so they change with the language. */
export function words<T extends Record<string, Word>>(en: T, zh: Same<T>): { readonly now: Same<T> } {
  return {
    get now() {
      return language.code === "zh" ? zh : (en as Same<T>);
    },
  };
}
