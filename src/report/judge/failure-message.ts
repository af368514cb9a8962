/**
 * What is said of a test that failed: the kernel's bug first, then each error once, then the line of the suite where it
 * came up.
 */
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { SerializedError } from 'vitest/node';
import { repositoryPath } from '../../config/paths.ts';
import type { JudgedReport } from '../../plan/rig-context.ts';

/** `file` is that of the suite. */
export function failureMessage(
  errors: readonly SerializedError[],
  reports: readonly JudgedReport[],
  file: string,
): string {
  const bugs = reports.filter(({ severity, expected }) => severity === 'bug' && !expected);
  // The VM and the end of the test both report a kernel bug: its title alone adds nothing to the line about it.
  const titles = new Set(bugs.map(({ title }) => `The guest's kernel reported: ${title}`));
  const errorTexts = [...new Set(errors.map(errorText))].filter((text) => !titles.has(text));
  return [...bugs.slice(0, 1).flatMap(kernelBug), ...errorTexts, ...placeOf(errors, file)].join('\n');
}

function kernelBug({ kind, where, title, source }: JudgedReport): string[] {
  const place = where === undefined || title.includes(where) ? '' : ` in ${where}`;
  const line = source ?? (where === undefined ? [] : ['With --debug-info its report names the source line.']);
  return [`Kernel bug: ${kind}${place}: ${title}`, ...line];
}

function errorText(error: SerializedError): string {
  const remedy: unknown = error['remedy'];
  const message = claimFirst(stripVTControlCharacters(error.message));
  return typeof remedy === 'string' ? `${message}\n${remedy}` : message;
}

/** What a suite hands to expect() as its second argument stands in front of what was expected, and may be long. */
function claimFirst(message: string): string {
  const [first = '', ...more] = message.split('\n');
  const border = first.lastIndexOf(': expected ');
  if (border < 0) return message;
  return [first.slice(border + 2), ...more, first.slice(0, border)].join('\n');
}

/** Of the first error that has one: the line of the suite itself rather than that of a fixture that it called. */
function placeOf(errors: readonly SerializedError[], file: string): string[] {
  for (const { stacks = [] } of errors) {
    const own = stacks.find((frame) => frame.file === file);
    const frame = own ?? stacks.find((candidate) => isOurs(candidate.file));
    if (frame) return [`at ${nameOf(frame.file)}:${String(frame.line)}:${String(frame.column)}`];
  }
  return [];
}

function isOurs(file: string): boolean {
  return file.startsWith(repositoryPath('/')) && !file.includes('/node_modules/');
}

/** As it is called from the repository's root, where editors and people look. */
function nameOf(file: string): string {
  return isOurs(file) ? path.relative(repositoryPath(), file) : file;
}
