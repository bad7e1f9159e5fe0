"""The style sheet of report.html."""

from __future__ import annotations

STYLE = """
:root { --ink: #1c1f23; --soft: #5c6570; --paper: #fff; --line: #d9dee4; --shade: #f4f6f8;
  --good: #176b3a; --good-back: #dff3e6; --bad: #a01722; --bad-back: #fbe1e3;
  --open: #7a5200; --open-back: #fcefd2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #9aa4b0; --paper: #14171b; --line: #313840; --shade: #1d2228;
    --good: #7fdca4; --good-back: #12351f; --bad: #ff9aa2; --bad-back: #43171b;
    --open: #f0c96a; --open-back: #3c2d0b; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
header p { margin: .2rem 0; color: var(--soft); }
code, pre { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; font-size: .88em; }
pre { background: var(--shade); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem;
  overflow-x: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92em; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.hash { overflow-wrap: anywhere; }
.state { display: inline-block; padding: .05rem .5rem; border-radius: 1rem; font-size: .9rem;
  font-weight: 600; vertical-align: middle; }
td .state { font-size: .85em; }
.meets { color: var(--good); background: var(--good-back); }
.misses, .failed { color: var(--bad); background: var(--bad-back); }
.unknown { color: var(--open); background: var(--open-back); }
.bar { display: inline-block; height: .6em; min-width: 1px; background: var(--soft); border-radius: 2px; }
td:has(> .bar) { min-width: 6rem; width: 12rem; }
h1, h3, p, li, td code { overflow-wrap: anywhere; }
details { margin: .4rem 0; }
summary { cursor: pointer; }
@media (max-width: 40rem) {
  main { padding: 1rem .75rem 3rem; }
  h1 { font-size: 1.3rem; }
  table { font-size: .85em; }
}
@media print {
  :root { --ink: #000; --soft: #444; --paper: #fff; --line: #bbb; --shade: #fff; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  .wide, pre { overflow: visible; white-space: pre-wrap; }
  section { break-inside: avoid-page; }
  details > * { display: block; }
}
"""
