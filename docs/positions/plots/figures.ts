/** Figures of a page that are medians of kept runs: "`variant` 1.2", and after it a link to the run and what of it. */
import { find, readKept } from './kept-run.ts';

/** A link, and after it what there is in the file that it leads to. */
export const SOURCE = /\[[^\]]*\]\(([^)]+)\)((?:,?\s+`[^`]+`)+)/g;
const FIGURE = /^- \*\*Figure\*\*: [^\n]*(?:\n {2}[^\n]*)*/gm;
const KEPT = /^plots\/(\w+)\.json$/;

export function figuresOf(page: string): string[] {
  return page.match(FIGURE) ?? [];
}

export function quoted(spans: string): string[] {
  return [...spans.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
}

interface Filled {
  /** With the medians as they are, each with as many decimals as it had. */
  readonly text: string;
  /** Without its sources and medians. */
  readonly rest: string;
  readonly medians: number;
}

export async function fill(figure: string): Promise<Filled> {
  let [text, rest, count] = [figure, figure.replace(SOURCE, ''), 0];
  for (const [, target = '', spans = ''] of figure.matchAll(SOURCE)) {
    const run = KEPT.exec(target)?.[1];
    if (run === undefined) continue;
    for (const span of quoted(spans)) {
      const parts = span.split(' › ');
      const { medians } = find(await readKept(run), parts.slice(0, -1).join(' › '), parts.at(-1) ?? '');
      for (const [variant, median] of Object.entries(medians)) {
        const [opened, number] = [`\`${variant}\` `, String.raw`\d+(?:\.(\d+))?`];
        const pair = new RegExp(`(?<=${opened})${number}`);
        count += pair.test(rest) ? 1 : 0;
        rest = rest.replace(new RegExp(opened + number), '');
        text = text.replace(pair, (_, decimals = '') => median.toFixed(String(decimals).length));
      }
    }
  }
  return { text, rest, medians: count };
}
