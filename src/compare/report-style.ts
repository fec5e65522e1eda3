/** @file The report's style sheet and its few lines of script; both are part of the file, which needs nothing else. */
import { seriesColours } from "./series-style.ts";

const colours = (theme: "light" | "dark"): string =>
  [
    ...Object.entries(themes[theme]).map(([name, colour]) => `--${name}: ${colour};`),
    ...seriesColours.map((series, index) => `--series-${index}: ${series[theme]};`),
  ].join(" ");

const themes = {
  light: {
    paper: "#ffffff",
    panel: "#f6f7f9",
    ink: "#1b1f24",
    faint: "#5b6470",
    rule: "#d5dae1",
    accent: "#0b63b0",
    tint: "#0072b2",
    good: "#0a6b46",
    bad: "#a8330b",
    open: "#7a5b00",
  },
  dark: {
    paper: "#14171b",
    panel: "#1d2127",
    ink: "#e8eaed",
    faint: "#a3acb8",
    rule: "#39414b",
    accent: "#7cc0ff",
    tint: "#58b4f0",
    good: "#4fd39f",
    bad: "#ff9a70",
    open: "#f0c95c",
  },
} as const;

/** The whole style sheet. */
export const styleSheet: string = `
:root { color-scheme: light; ${colours("light")} }
@media (prefers-color-scheme: dark) { :root:not(:has(#theme-light:checked)) { color-scheme: dark; ${colours("dark")} } }
:root:has(#theme-dark:checked) { color-scheme: dark; ${colours("dark")} }
:root:has(#lang-en:checked) [lang="zh"]:not(html), :root:has(#lang-zh:checked) [lang="en"]:not(html) { display: none; }
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); scroll-behavior: smooth; }
body { margin: 0 auto; max-width: 76rem; padding: 1.25rem clamp(0.9rem, 3vw, 2.5rem) 4rem;
  font: 1rem/1.55 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Micro Hei", sans-serif; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0.2rem 0 0.4rem; text-wrap: balance; }
h2 { font-size: 1.35rem; margin: 2.8rem 0 0.5rem; padding-top: 0.6rem; border-top: 2px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 0.4rem; }
p { max-width: 46rem; margin: 0.4rem 0; }
code, .number { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.92em; }
a { color: var(--accent); }
.faint { color: var(--faint); }
.controls { display: flex; flex-wrap: wrap; gap: 0.4rem 1.4rem; justify-content: flex-end; font-size: 0.9rem; }
.controls fieldset { border: 0; margin: 0; padding: 0; display: flex; gap: 0.7rem; align-items: baseline; }
.controls legend { float: left; padding: 0; margin-right: 0.6rem; color: var(--faint); }
.controls label { cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; padding: 0; margin: 0.9rem 0 0; list-style: none; }
.facts { display: flex; flex-wrap: wrap; gap: 0.3rem 1.6rem; margin: 0.8rem 0; padding: 0; list-style: none; color: var(--faint); }
.facts b { color: var(--ink); font-weight: 600; }
.verdicts { display: grid; gap: 0.7rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); padding: 0; margin: 0.9rem 0; list-style: none; }
.verdict { background: var(--panel); border-left: 4px solid var(--faint); border-radius: 3px; padding: 0.6rem 0.85rem; }
.verdict p { margin: 0.15rem 0; }
.verdict .state { font-weight: 650; }
.verdict.holds { border-color: var(--good); } .verdict.holds .state { color: var(--good); }
.verdict.does-not-hold { border-color: var(--bad); } .verdict.does-not-hold .state { color: var(--bad); }
.verdict.undecided { border-color: var(--open); } .verdict.undecided .state { color: var(--open); }
.verdict ul { margin: 0.3rem 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap; gap: 0 1.1rem; font-size: 0.92rem; }
.verdict small { color: var(--faint); }
.scroll { overflow-x: auto; margin: 0.6rem 0; }
table { border-collapse: collapse; font-size: 0.94rem; }
caption { text-align: left; color: var(--faint); padding: 0 0 0.4rem; }
caption > span { display: block; position: sticky; left: 0; max-width: min(46rem, calc(100vw - 2rem)); }
th, td { padding: 0.32rem 0.75rem; text-align: right; vertical-align: baseline; border-bottom: 1px solid var(--rule); white-space: nowrap; }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--rule); font-weight: 600; white-space: normal; }
thead th small { display: block; font-weight: 400; color: var(--faint); }
tbody th, th.text, td.text { text-align: left; font-weight: 400; }
tbody th { position: sticky; left: 0; background: var(--paper); }
tbody tr:hover { background: var(--panel); }
td.cell { background: color-mix(in srgb, var(--tint) calc(var(--share, 0) * 30%), transparent); }
td .mark { display: block; font-size: 0.78rem; color: var(--faint); }
td.best .number { font-weight: 700; }
td.failed { color: var(--bad); }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; padding: 0; margin: 0.6rem 0; list-style: none; font-size: 0.92rem; }
.legend svg, tbody th svg { vertical-align: -2px; margin-right: 0.4rem; }
.figures { display: grid; gap: 1.4rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); align-items: start; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { font-size: 0.92rem; color: var(--faint); margin-bottom: 0.2rem; }
svg.plot { display: block; max-width: 100%; height: auto; overflow: visible; color: var(--ink); font-family: inherit; }
svg.plot text { white-space: pre; }
svg.narrow { display: none; }
@media (max-width: 38rem) { svg.wide { display: none; } svg.narrow { display: block; } th, td { padding: 0.3rem 0.5rem; }
  tbody th { white-space: normal; overflow-wrap: anywhere; min-width: 6.4rem; max-width: 9.5rem; } }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
details { margin: 0.8rem 0; } summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1rem; margin: 0.5rem 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
button { font: inherit; color: var(--accent); background: none; border: 1px solid var(--rule); border-radius: 4px; padding: 0.25rem 0.8rem; cursor: pointer; }
@media print { .controls, nav, button { display: none; } body { max-width: none; padding: 0; } h2 { break-after: avoid; } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
`;

/** Chooses the reader's language, keeps the document's language true for screen readers, and saves the embedded data. */
export const script: string = `
const chinese = document.getElementById("lang-zh"), english = document.getElementById("lang-en");
const follow = () => { document.documentElement.lang = chinese.checked ? "zh" : "en"; };
if (location.hash === "#zh" || (location.hash !== "#en" && /^zh/i.test(navigator.language))) chinese.checked = true;
for (const choice of [chinese, english]) choice.addEventListener("change", follow);
follow();
for (const button of document.querySelectorAll("button[data-from]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const source = document.getElementById(button.dataset.from);
    const text = button.dataset.json ? source.textContent : JSON.parse(source.textContent);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: button.dataset.type }));
    link.download = button.dataset.name;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}
`;
