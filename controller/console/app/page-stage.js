import{a as r,f as t}from"./frame.js";var e=t('<div class="page"></div>');function f(a){var o=e();r(a,o)}export{f as default};
