/**
 * Figures of a page that are filled in: "`variant` 1.2", and after it a link to where it is from, and what of it. From
 * a kept run they are medians, from upstream's verdicts counts of cases.
 */
import type { CaseVerdicts } from '../../../src/plan/ktap.ts';
import { upstreamVerdicts } from '../../../src/plan/upstream-verdicts.ts';
import { find, readKept } from './kept-run.ts';

/** A link, and after it what there is in the file that it leads to. */
export const SOURCE = /\[[^\]]*\]\(([^)]+)\)((?:,?\s+`[^`]+`)+)/g;
const FIGURE = /^- \*\*Figure\*\*: [^\n]*(?:\n {2}[^\n]*)*/gm;
const KEPT = /^plots\/([\w-]+)\.json$/;
const VERDICTS = '/upstream-verdicts.json';

export function figuresOf(page: string): string[] {
  return page.match(FIGURE) ?? [];
}

export function quoted(spans: string): string[] {
  return [...spans.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
}

/** Whether its figures are filled in. */
export function isFilled(target: string): boolean {
  return KEPT.test(target) || target.endsWith(VERDICTS);
}

interface Filled {
  /** With the values as they are, each with as many decimals as it had. */
  readonly text: string;
  /** Without its sources and values. */
  readonly rest: string;
  /** For each link to a file whose values are filled in, how many there are before it. */
  readonly compared: readonly number[];
}

/** What is before a link is filled in from there. */
export async function fill(figure: string): Promise<Filled> {
  let [text, rest, end] = ['', '', 0];
  const compared: number[] = [];
  for (const { 0: source, 1: target = '', 2: spans = '', index } of figure.matchAll(SOURCE)) {
    let [said, left, count] = [figure.slice(end, index), figure.slice(end, index), 0];
    for (const span of isFilled(target) ? quoted(spans) : []) {
      for (const [variant, value] of Object.entries(await valuesOf(target, span))) {
        const [opened, number] = [`\`${variant}\` `, String.raw`\d+(?:\.(\d+))?`];
        const pair = new RegExp(`(?<=${opened})${number}`);
        count += pair.test(left) ? 1 : 0;
        left = left.replace(new RegExp(opened + number), '');
        said = said.replace(pair, (_, decimals = '') => value.toFixed(String(decimals).length));
      }
    }
    if (isFilled(target)) compared.push(count);
    [text, rest, end] = [text + said + source, rest + left, index + source.length];
  }
  return { text: text + figure.slice(end), rest: rest + figure.slice(end), compared };
}

async function valuesOf(target: string, span: string): Promise<Readonly<Record<string, number>>> {
  const run = KEPT.exec(target)?.[1];
  if (run === undefined) return counts(await upstreamVerdicts(span));
  const parts = span.split(' › ');
  return find(await readKept(run), parts.slice(0, -1).join(' › '), parts.at(-1) ?? '').medians;
}

function counts(verdicts: CaseVerdicts): Readonly<Record<string, number>> {
  const of = (wanted: string): number => Object.values(verdicts).filter((verdict) => verdict === wanted).length;
  return { pass: of('pass'), fail: of('fail'), skip: of('skip') };
}
