/** Reads KTAP, in which KUnit and the kernel's self-tests say what came of each of their cases. */

interface KtapResult {
  readonly name: string;
  readonly status: 'pass' | 'fail' | 'skip';
  /** What follows `# SKIP`; empty where nothing does. */
  readonly remark: string;
  /** Of a suite its cases, of a parameterized case its parameters. */
  readonly children: readonly KtapResult[];
}

interface Ktap {
  readonly results: readonly KtapResult[];
  /** Where there are more or fewer results than were planned: a test program that died says nothing else. */
  readonly faults: readonly string[];
}

interface CaseCounts {
  readonly pass: number;
  readonly fail: number;
  readonly skip: number;
}

/** The indent says how deep a result is nested: its own children stand before it, four blanks further in. */
const RESULT = /^( *)(not )?ok (\d+)(?: -)?(?: (?!#)(.*?))?(?: # (SKIP|TODO|XFAIL)\b ?(.*))?$/;
const PLAN = /^( *)1\.\.(\d+)/;
/** Of a document; several may follow each other. */
const HEADER = /^K?TAP version /;
const INDENT = 4;

interface Level {
  planned: number | undefined;
  results: KtapResult[];
}

export function parseKtap(text: string): Ktap {
  const faults: string[] = [];
  const finished: KtapResult[] = [];
  const levels: Level[] = [];
  const level = (depth: number): Level => (levels[depth] ??= { planned: undefined, results: [] });
  const close = (depth: number, where: string): readonly KtapResult[] => {
    const { planned, results } = level(depth);
    levels.length = Math.min(levels.length, depth);
    if (planned !== undefined && planned !== results.length) {
      faults.push(`${where}: ${planned} results planned, ${results.length} found`);
    }
    return results;
  };
  for (const line of text.split('\n')) {
    if (HEADER.test(line)) finished.push(...close(0, 'top level'));
    const [, planIndent, planned] = PLAN.exec(line) ?? [];
    if (planIndent !== undefined) level(planIndent.length / INDENT).planned = Number(planned);
    const [, indent, failed, number, name, directive, remark = ''] = RESULT.exec(line.trimEnd()) ?? [];
    if (indent === undefined || number === undefined) continue;
    const depth = indent.length / INDENT;
    const title = name ?? `result ${number}`;
    const children = levels.length > depth + 1 ? close(depth + 1, title) : [];
    const status = failed === undefined ? (directive === 'SKIP' ? 'skip' : 'pass') : 'fail';
    level(depth).results.push({ name: title, status, remark, children });
  }
  finished.push(...close(0, 'top level'));
  return { results: finished, faults };
}

/** The results that have no further ones below them, each with the names of those above it. */
export function ktapCases(results: readonly KtapResult[], above = ''): (KtapResult & { readonly path: string })[] {
  return results.flatMap((result) => {
    const path = `${above}${result.name}`;
    return result.children.length === 0 ? [{ ...result, path }] : ktapCases(result.children, `${path} › `);
  });
}

/** By the path of the case. */
export type CaseVerdicts = Readonly<Record<string, KtapResult['status']>>;

export function caseVerdicts(results: readonly KtapResult[]): CaseVerdicts {
  return Object.fromEntries(ktapCases(results).map(({ path, status }) => [path, status]));
}

export function countCases(results: readonly KtapResult[]): CaseCounts {
  const counts = { pass: 0, fail: 0, skip: 0 };
  for (const { status } of ktapCases(results)) counts[status]++;
  return counts;
}
