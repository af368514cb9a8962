/**
 * What `--filter` matches: `suite › group › test` as tables print it, `suite > group > test` as files have it, each
 * also without the suite.
 */

/** Between suite, group and test; vitest joins them by a blank. */
const SEPARATOR = / [›>] /g;

/** vitest asks it for a match with the names of groups and test, one blank between them. */
export class PrintedNamePattern extends RegExp {
  readonly #suite: string;

  constructor(pattern: RegExp, suite: string) {
    super(pattern.source.replaceAll(SEPARATOR, ' '), pattern.flags);
    this.#suite = suite;
  }

  override exec(name: string): RegExpExecArray | null {
    const inSuite = name.trim().replaceAll(SEPARATOR, ' ');
    return super.exec(inSuite) ?? super.exec(`${this.#suite} ${inSuite}`);
  }
}
