/**
 * Reads KTAP (Documentation/dev-tools/ktap.rst) and TAP, in which KUnit, the kernel's self-tests and many programs say
 * what came of each of their cases.
 */

type Directive = 'SKIP' | 'TODO' | 'XFAIL' | 'TIMEOUT' | 'ERROR';

interface KtapResult {
  readonly name: string;
  readonly status: 'pass' | 'fail' | 'skip';
  readonly directive: Directive | undefined;
  /** What follows the directive; empty where nothing does. */
  readonly remark: string;
  /** What the program said about it: the lines before it, back to the result before, and a block of YAML after it. */
  readonly said: readonly string[];
  /** Of a suite its cases, of a parameterized case its parameters. */
  readonly children: readonly KtapResult[];
}

interface Ktap {
  readonly results: readonly KtapResult[];
  /** Where there are more or fewer results than were planned: a test program that died says nothing else. */
  readonly faults: readonly string[];
  /** The reason of a program that planned no result, since there was nothing for it to do. */
  readonly skipped: string | undefined;
}

interface CaseCounts {
  readonly pass: number;
  readonly fail: number;
  readonly skip: number;
}

/** The indent says how deep a result is nested: its own children stand before it, further in. */
const RESULT =
  /^( *)(not )?ok\b(?: +(\d+))?(?: -)?(?: +(?!#)(.*?))?(?: *(?<!\\)# *([Ss][Kk][Ii][Pp]|[Tt][Oo][Dd][Oo]|XFAIL|TIMEOUT|ERROR)\w*:? *(.*))?$/;
const PLAN = /^( *)1\.\.(\d+)(?: *#(?: *[Ss][Kk][Ii][Pp]\w*)? *(.*))?$/;
/** Of a document; several may follow each other. */
const VERSION = /^( *)K?TAP version \d/;
const BAIL_OUT = /^ *Bail out!\s*(.*)$/;
/** The runner of the self-tests makes comments of what a program says, one level further in. */
const NESTED_IN_COMMENTS = /^(?:# )+(?= *(?:(?:not )?ok \d|1\.\.\d+|K?TAP version \d))/;
/** Of a line of the kernel's log. */
const TIMESTAMP = /^\[ *\d+\.\d{6}\] /;

const MOST_SAID = 20;

interface Level {
  readonly indent: number;
  planned: number | undefined;
  results: KtapResult[];
}

/** Does a program mean this to be read so: has it a version line, or a plan and results? */
export function speaksKtap(text: string): boolean {
  const lines = text.split('\n').map(plainLine);
  if (lines.some((line) => VERSION.test(line))) return true;
  return lines.some((line) => PLAN.test(line)) && lines.some((line) => RESULT.test(line));
}

export function parseKtap(text: string): Ktap {
  const reader = new KtapReader();
  for (const line of text.split('\n')) reader.read(plainLine(line));
  return reader.end();
}

function plainLine(line: string): string {
  return line
    .trimEnd()
    .replace(TIMESTAMP, '')
    .replace(NESTED_IN_COMMENTS, (comment) => ' '.repeat(comment.length));
}

class KtapReader {
  readonly #faults: string[] = [];
  readonly #finished: KtapResult[] = [];
  #skipped: string | undefined;
  /** From the outermost inwards. */
  #levels: Level[] = [];
  #said: string[] = [];
  /** What was said of the last result, for a block of YAML that follows it. */
  #last: string[] | undefined;
  #inYaml = false;

  read(line: string): void {
    if (this.#readYaml(line)) return;
    const version = VERSION.exec(line);
    const [, planIndent, planned, remark = ''] = PLAN.exec(line) ?? [];
    const bailOut = BAIL_OUT.exec(line);
    const result = RESULT.exec(line);
    if (version) {
      // Of a nested document the first result or the plan says how deep it is.
      if (version[1] === '') this.#finish();
      this.#said = [];
    } else if (planIndent !== undefined) {
      this.#level(planIndent.length).planned = Number(planned);
      if (planIndent === '' && Number(planned) === 0) this.#skipped = remark;
    } else if (bailOut) this.#faults.push(`it bailed out: ${bailOut[1] ?? ''}`);
    else if (result) this.#add(result);
    else if (line.trim() !== '') this.#said.push(line.trim().replace(/^#\s*/, ''));
  }

  end(): Ktap {
    this.#finish();
    return { results: this.#finished, faults: this.#faults, skipped: this.#skipped };
  }

  #readYaml(line: string): boolean {
    const text = line.trim();
    if (!this.#inYaml && (this.#last === undefined || !/^\s+---$/.test(line))) return false;
    if (this.#inYaml && text !== '...') this.#last?.push(text);
    this.#inYaml = text !== '...';
    return true;
  }

  #add([, indent = '', failed, number, name, given, remark = '']: RegExpExecArray): void {
    const directive = given?.toUpperCase() as Directive | undefined;
    const title = name?.replaceAll('\\#', '#').trim() ?? (number === undefined ? 'result' : `result ${number}`);
    const children = this.#close(indent.length, title);
    const status = failed === undefined ? (directive === 'SKIP' ? 'skip' : 'pass') : 'fail';
    const said = this.#said.slice(-MOST_SAID);
    this.#level(indent.length).results.push({ name: title, status, directive, remark, said, children });
    [this.#said, this.#last] = [[], said];
  }

  #level(indent: number): Level {
    const known = this.#levels.find((level) => level.indent === indent);
    if (known) return known;
    const level: Level = { indent, planned: undefined, results: [] };
    this.#levels = [...this.#levels, level].sort((a, b) => a.indent - b.indent);
    return level;
  }

  /** Ends all that is nested deeper: it belongs to the result of this name. */
  #close(indent: number, where: string): KtapResult[] {
    const closed = this.#levels.filter((level) => level.indent > indent);
    this.#levels = this.#levels.filter((level) => level.indent <= indent);
    for (const { planned, results } of closed) {
      if (planned === undefined || planned === results.length) continue;
      this.#faults.push(`${where}: ${planned} results planned, ${results.length} found`);
    }
    return closed.flatMap(({ results }) => results);
  }

  #finish(): void {
    this.#finished.push(...this.#close(-1, 'top level'));
    this.#last = undefined;
  }
}

type KtapCase = KtapResult & { readonly path: string };

/** The results that have no further ones below them, each with the names of those above it. */
export function ktapCases(results: readonly KtapResult[], above = ''): KtapCase[] {
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
