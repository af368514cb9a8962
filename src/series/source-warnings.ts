/**
 * Warnings about source files: what compilers and sparse print, compared with what they print about the unpatched
 * files.
 */

/** As `file: warning: text`, without the line, which moves with every edit. */
export type Warning = string;

const WARNING = /^(?:\.\/)?([\w./+-]+\.[ch]):\d+:(?:\d+:)? (warning|error): (.*)$/;

/** The warning in a line of make's output, if it is one about a file in `files`. */
export function warningIn(line: string, files: ReadonlySet<string>): Warning | undefined {
  const [, file, kind, text] = WARNING.exec(line.trimEnd()) ?? [];
  if (file === undefined || kind === undefined || text === undefined || !files.has(file)) return undefined;
  return `${file}: ${kind}: ${text}`;
}

/** Those of `now` that were not there before, or not so often. */
export function newWarnings(now: readonly Warning[], before: readonly Warning[]): Warning[] {
  const known = [...before];
  return now.filter((warning) => {
    const index = known.indexOf(warning);
    if (index >= 0) known.splice(index, 1);
    return index < 0;
  });
}

const EXPORT = /^\+EXPORT_SYMBOL(?:_GPL|_NS|_NS_GPL|_FOR_MODULES)?\((\w+)/gm;

/** Symbols that a patch exports to all modules; those for KUnit alone need no documentation. */
export function exportedSymbols(patch: string): string[] {
  return [...patch.matchAll(EXPORT)].flatMap(([, name]) => (name === undefined ? [] : [name]));
}

/** Names that have a kernel-doc comment. */
export function documentedNames(source: string): Set<string> {
  const names = [...source.matchAll(/^\/\*\*\n \* (?:(?:struct|enum|union|typedef) )?(\w+)(?:\(\))?(?: -|:|\n)/gm)];
  return new Set(names.flatMap(([, name]) => (name === undefined ? [] : [name])));
}
