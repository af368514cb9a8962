/** The mutants of a file: each differs from it in one place, and is known by its content, wherever its lines move. */
import { contentKey } from '../../cache/content-key.ts';
import { functionsIn, parseC, statementAround } from './c-syntax.ts';
import { editsOf, type Edit, type Operator } from './mutation-operators.ts';

/** What a mutant is known by: not the numbers of its lines. */
interface MutantContent {
  readonly file: string;
  readonly function: string;
  /** The lines that differ, as one text with single spaces. */
  readonly was: string;
  readonly becomes: string;
  /** Which of several of the same content in the function, from 1. */
  readonly nth: number;
}

export function mutantId({ file, function: name, was, becomes, nth }: MutantContent): string {
  return contentKey({ file, name, was, becomes, nth: String(nth) }).slice(0, 10);
}

export interface Mutant extends Omit<MutantContent, 'nth'> {
  /** See `mutantId`. */
  readonly id: string;
  readonly operator: Operator;
  /** The line of the edit, and the one at which its statement begins; from 1. */
  readonly line: number;
  readonly statement: number;
  /** For git apply, and for people. */
  readonly diff: string;
}

/** Mutants that differ from the file in these of its lines only, in the order of the file. */
export async function mutantsOf(file: string, text: string, lines: ReadonlySet<number>): Promise<Mutant[]> {
  const root = await parseC(text);
  const seen = new Map<string, number>();
  const places = new Set<string>();
  return functionsIn(root).flatMap(({ name, body }) =>
    editsOf(body).flatMap((edit): Mutant[] => {
      const first = edit.node.startPosition.row;
      const last = first + text.slice(edit.start, edit.end).split('\n').length;
      for (let line = first + 1; line <= last; line++) if (!lines.has(line)) return [];
      const changed = changedLines(text, first, edit);
      const { was, becomes } = changed;
      // Two operators may come to the same.
      const place = JSON.stringify([changed.first, was, becomes]);
      if (places.has(place)) return [];
      places.add(place);
      const content = { file, function: name, was: oneLine(was), becomes: oneLine(becomes) };
      const nth = (seen.get(JSON.stringify(content)) ?? 0) + 1;
      seen.set(JSON.stringify(content), nth);
      const statement = statementAround(edit.node).startPosition.row + 1;
      const line = edit.node.startPosition.row + 1;
      const id = mutantId({ ...content, nth });
      return [{ id, ...content, operator: edit.operator, line, statement, diff: diffOf(file, name, text, changed) }];
    }),
  );
}

interface ChangedLines {
  /** From 0. */
  readonly first: number;
  readonly was: readonly string[];
  readonly becomes: readonly string[];
}

function changedLines(text: string, first: number, { start, end, text: instead }: Edit): ChangedLines {
  const from = text.lastIndexOf('\n', start - 1) + 1;
  const to = text.indexOf('\n', end);
  const was = text.slice(from, to).split('\n');
  const becomes = `${text.slice(from, start)}${instead}${text.slice(end, to)}`.split('\n');
  return { first, was, becomes };
}

function oneLine(lines: readonly string[]): string {
  return lines.join(' ').replaceAll(/\s+/g, ' ').trim();
}

const CONTEXT = 3;

function diffOf(file: string, name: string, text: string, { first, was, becomes }: ChangedLines): string {
  const lines = text.replace(/\n$/, '').split('\n');
  const from = Math.max(0, first - CONTEXT);
  const before = lines.slice(from, first);
  const after = lines.slice(first + was.length, first + was.length + CONTEXT);
  const around = before.length + after.length;
  const heading = `@@ -${range(from, around + was.length)} +${range(from, around + becomes.length)} @@ ${name}()`;
  const marked = (mark: string, those: readonly string[]): string[] => those.map((line) => `${mark}${line}`);
  const body = [...marked(' ', before), ...marked('-', was), ...marked('+', becomes), ...marked(' ', after)];
  return [`diff --git a/${file} b/${file}`, `--- a/${file}`, `+++ b/${file}`, heading, ...body, ''].join('\n');
}

function range(first: number, length: number): string {
  return `${String(first + 1)},${String(length)}`;
}
