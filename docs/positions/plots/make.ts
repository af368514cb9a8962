/**
 * Draws the plots of these pages from the runs that are kept here, and writes their medians into the pages: `npm run
 * plots`. `npm run plots -- NAME…` measures these first, which takes some minutes each and replaces what is kept.
 */
import { execa } from 'execa';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { benchPlot } from './bench-plot.ts';
import { figuresOf, fill } from './figures.ts';
import { keptFile, keptOf, readKept } from './kept-run.ts';
import { BENCHES } from './benches.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');

async function measure(name: string, { bench, options }: (typeof BENCHES)[string]): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plots-'));
  const json = path.join(folder, 'run.json');
  try {
    await execa('./dgpu-rig', ['bench', bench, ...options, '--json', json], { cwd: ROOT, stdio: 'inherit' });
    const quoted = options.map((option) => (/^[\w-]+$/.test(option) ? option : `'${option}'`));
    const kept = await keptOf(['./dgpu-rig bench', bench, ...quoted].join(' '), json);
    await writeFile(keptFile(name, 'json'), `${JSON.stringify(kept, undefined, 1)}\n`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function fillPage(page: string): Promise<void> {
  const before = await readFile(page, 'utf8');
  let text = before;
  for (const figure of figuresOf(before)) {
    const filled = await fill(figure);
    text = text.replace(figure, () => filled.text);
  }
  if (text !== before) await writeFile(page, text);
}

const asked = process.argv.slice(2);
for (const name of asked)
  if (!(name in BENCHES)) throw new Error(`Nothing is kept of "${name}", only of ${Object.keys(BENCHES).join(', ')}.`);
for (const [name, kept] of Object.entries(BENCHES)) {
  const { plot } = kept;
  if (asked.includes(name)) await measure(name, kept);
  if (plot && existsSync(keptFile(name, 'json')))
    await writeFile(keptFile(name, 'svg'), benchPlot(plot, await readKept(name)));
}

const folder = path.join(ROOT, 'docs/positions');
for (const name of await readdir(folder)) if (name.endsWith('.md')) await fillPage(path.join(folder, name));
