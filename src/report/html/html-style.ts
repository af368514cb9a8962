/** The style sheet of the HTML report: system fonts, two palettes, one column on a phone. */
export const STYLE = `
:root {
  --page: #f6f7f9; --card: #fff; --ink: #1b1f24; --faint: #5b6470; --rule: #d9dde3; --code: #f1f3f6;
  --pass: #116b34; --pass-back: #dff3e4; --fail: #a3121f; --fail-back: #fde4e4; --error: #7d4a00; --error-back: #fdeccd;
  --xfail: #4b3fa8; --xfail-back: #e8e5fb; --skip: #5b6470; --skip-back: #e9ecf0; --s0: #1f6feb; --s1: #c2410c; --s2: #0f766e; --link: #0a58ca;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1216; --card: #181c22; --ink: #e6e9ee; --faint: #9aa4b1; --rule: #2c333d; --code: #11151a;
    --pass: #6fdc92; --pass-back: #12331f; --fail: #ff9a9a; --fail-back: #451519; --error: #f5c26b; --error-back: #3d2b0b;
    --xfail: #b9b0ff; --xfail-back: #29244f; --skip: #9aa4b1; --skip-back: #262c35; --s0: #6ea8fe; --s1: #fb9a5c; --s2: #5fd4c4; --link: #7db2ff;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header, main { max-width: 68rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
.name { margin: 0; color: var(--faint); font-weight: 600; letter-spacing: .02em; }
h1 { margin: .1rem 0 .4rem; font-size: clamp(1.5rem, 5vw, 2.2rem); line-height: 1.2; }
h1.pass { color: var(--pass); } h1.fail { color: var(--fail); }
h2 { font-size: 1.15rem; margin: 1.8rem 0 .6rem; }
a { color: var(--link); }
ul.counts { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; list-style: none; margin: 0 0 1.2rem; padding: 0; }
ul.counts li { white-space: nowrap; }
dl.facts { display: flex; flex-wrap: wrap; gap: .5rem 1.8rem; margin: 0; }
dl.facts dt { color: var(--faint); font-size: .8rem; } dl.facts dd { margin: 0; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.matrix { width: 100%; font-size: .9rem; }
.matrix th, .matrix td { padding: .4rem .7rem; text-align: center; border-bottom: 1px solid var(--rule); font-weight: 400; }
.matrix th[scope=row] { text-align: left; min-width: 12rem; } .matrix thead th { color: var(--faint); vertical-align: bottom; }
.matrix tbody tr:last-child > * { border-bottom: 0; }
.matrix a { text-decoration: none; }
.mark { display: inline-grid; place-items: center; flex: none; width: 1.5rem; height: 1.5rem; border-radius: .4rem; font-weight: 700; line-height: 1; }
${(['pass', 'fail', 'error', 'xfail', 'skip'] as const).map((status) => `.mark.${status} { color: var(--${status}); background: var(--${status}-back); }`).join('\n')}
.filter { margin: 1.8rem 0 -.6rem; padding: 0; border: 0; color: var(--faint); }
.filter legend { float: left; margin-right: .8rem; padding: 0; } .filter label { margin-right: 1rem; white-space: nowrap; }
body:has(#only-bad:checked) :is(.test:not(.fail, .error), .suite.good) { display: none; }
.test { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; margin-bottom: .5rem; }
.test.fail { border-color: var(--fail); } .test.error { border-color: var(--error); }
.test > summary { display: flex; gap: .7rem; align-items: center; padding: .55rem .8rem; cursor: pointer; list-style: none; }
.test > summary::-webkit-details-marker { display: none; }
summary:focus-visible, a:focus-visible, input:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.title { flex: 1; overflow-wrap: anywhere; } .time { color: var(--faint); white-space: nowrap; font-variant-numeric: tabular-nums; }
.details { padding: .2rem .8rem .9rem; border-top: 1px solid var(--rule); }
pre { margin: .6rem 0; padding: .7rem; background: var(--code); border-radius: .4rem; overflow: auto; max-height: 30rem; font: .8rem/1.45 ui-monospace, "SFMono-Regular", "DejaVu Sans Mono", monospace; }
pre.message { white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid var(--fail); }
.xfail pre.message { border-color: var(--xfail); } .skip pre.message { border-color: var(--skip); } .error pre.message { border-color: var(--error); }
.kernel { margin: .7rem 0; border: 1px solid var(--rule); border-radius: .4rem; }
.kernel.bug { border-color: var(--fail); }
.kernel > summary { padding: .5rem .7rem; cursor: pointer; overflow-wrap: anywhere; }
.kernel > pre { margin: 0; border-radius: 0 0 .4rem .4rem; }
.charts { display: grid; align-items: end; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 0 1.5rem; }
.chart { margin: .9rem 0 .3rem; min-width: 0; }
figcaption { font-weight: 600; font-size: .9rem; } .legend { display: block; font-weight: 400; color: var(--faint); font-size: .8rem; }
.key { margin-right: .9rem; white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: .8em; height: .2em; margin-right: .35em; vertical-align: middle; background: var(--s0); }
.key.s1::before { background: var(--s1); } .key.s2::before { background: var(--s2); }
.plot { position: relative; } .plot svg { display: block; width: 100%; height: 7rem; overflow: visible; }
svg .grid { stroke: var(--rule); stroke-dasharray: 3 4; } svg .base { stroke: var(--faint); }
svg * { vector-effect: non-scaling-stroke; }
polyline { fill: none; stroke: var(--s0); stroke-width: 2; stroke-linejoin: round; } polyline.s1 { stroke: var(--s1); } polyline.s2 { stroke: var(--s2); }
.axis { color: var(--faint); font-size: .75rem; } .axis.top { position: absolute; right: 0; top: 0; background: color-mix(in srgb, var(--card) 80%, transparent); padding: 0 .2rem; }
.axis.below { display: flex; justify-content: space-between; }
.bars { width: 100%; font-size: .85rem; margin-top: .3rem; } .bars th { text-align: left; font-weight: 400; padding-right: .7rem; white-space: nowrap; }
.bar { width: 60%; } .bar div { position: relative; }
.bar i { position: absolute; top: .4rem; height: .1rem; min-width: 1px; background: var(--ink); } .bar span { display: block; min-width: 1px; height: .9rem; border-radius: 2px; background: var(--s0); }
.number { text-align: right; white-space: nowrap; padding-left: .7rem; }
.tables { display: flex; flex-wrap: wrap; gap: 0 2.5rem; align-items: flex-start; }
table.facts { font-size: .85rem; margin-top: .8rem; max-width: 100%; } table.facts caption { text-align: left; font-weight: 600; }
table.facts th { text-align: left; font-weight: 400; color: var(--faint); padding: .1rem 0; overflow-wrap: anywhere; }
.artifacts { font-size: .85rem; overflow-wrap: anywhere; } .artifacts a { margin-right: .5rem; }
@media print { .filter { display: none; } .test { break-inside: avoid; } }
`;
