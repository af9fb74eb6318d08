// What every part of the page is made with.

export const $ = (id) => document.getElementById(id);
export const API = "/api/v1";

export const text = (node, value) => { if (node.textContent !== value) node.textContent = value; };
export const number = (value, digits) => value == null ? "–" : value.toFixed(digits);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export function draw(node, signature, make) {  // rebuilt only when something in it changed: clicks are never lost
  if (node.dataset.signature === signature) return;
  node.dataset.signature = signature;
  node.replaceChildren(...make());
}

export const pressed = (node, on) => node.setAttribute("aria-pressed", on ? "true" : "false");

let toastTimer = 0;
export function tell(message) {
  text($("toast"), message);
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 6000);
}
