/** What campaigns have found out so far, a line each, on disk as soon as it is known: the next goes on from there. */
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { NOTICES } from '../../report/mutants/mutation-report.ts';

const notice = z.strictObject({ how: z.enum(NOTICES), test: z.string(), message: z.string() });

/** Without a mutant it is about the kernel as it is. */
const entry = z.union([
  z.strictObject({ mutant: z.string(), builds: z.literal(false) }),
  z.strictObject({
    mutant: z.string().optional(),
    suite: z.string(),
    /** Of its file: what one of another text has said is nothing that is known of this one. */
    text: z.string(),
    durationMs: z.number(),
    /** What the kernel took, which was built for this suite and those that came after it. */
    builtMs: z.number().optional(),
    caught: notice.optional(),
  }),
]);
type Entry = z.infer<typeof entry>;
export type SuiteRun = Extract<Entry, { suite: string }>;
type Found = Exclude<Entry, SuiteRun> | Omit<SuiteRun, 'text'>;

export class Journal {
  readonly #file: string;
  readonly #entries: Entry[];
  readonly #textOf: (suite: string) => string;

  private constructor(file: string, entries: Entry[], textOf: (suite: string) => string) {
    this.#file = file;
    this.#entries = entries;
    this.#textOf = textOf;
  }

  /** `textOf` tells the texts of a suite apart. */
  static async open(file: string, textOf: (suite: string) => string): Promise<Journal> {
    await mkdir(path.dirname(file), { recursive: true });
    const text = await readFile(file, 'utf8').catch(() => '');
    // A rig that was killed, or a disk that was full, leaves half a line.
    return new Journal(file, text.split('\n').flatMap(parseLine), textOf);
  }

  async add(found: Found): Promise<void> {
    const known = 'suite' in found ? { ...found, text: this.#textOf(found.suite) } : found;
    await appendFile(this.#file, `\n${JSON.stringify(known)}\n`);
    this.#entries.push(known);
  }

  runOf(suite: string, mutant?: string): SuiteRun | undefined {
    return this.#entries.find(
      (found): found is SuiteRun =>
        'suite' in found && found.suite === suite && found.mutant === mutant && found.text === this.#textOf(suite),
    );
  }

  isUnbuilt(mutant: string): boolean {
    return this.#entries.some((found) => 'builds' in found && found.mutant === mutant);
  }
}

function parseLine(line: string): Entry[] {
  try {
    return [entry.parse(JSON.parse(line))];
  } catch {
    return [];
  }
}
